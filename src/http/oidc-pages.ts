import type { PendingReturn } from "../auth/providers/oidc/browser-logins.ts";
import type { HttpResponse } from "./endpoint.ts";
import { type Html, html, htmlPage, type PageContext } from "./html-page.ts";
import type { Language } from "./languages.ts";
import { plainPagePolicy } from "./pages.ts";

const english = {
  app: "App, as it calls itself",
  address: "Its address",
  code: "Code",
  unknownAddress: "an unknown address",
  namelessApp: "An app that gave no name",
  otherAddress: html`<strong>That is not the address of this browser.</strong> If you did not start this yourself, on your own device, somebody is trying to use your account.`,
  warning: "Go on only if you started this a moment ago and the app shows this code.",
  codeShown: (then: string) => `The app shows this code: ${then}`,
  login: {
    title: "Is this you?",
    yes: "log it in",
    no: "Do not log it in",
    question: ({ account, provider, host }: PendingReturn) =>
      html`You are <strong>${account}</strong> at ${provider}. One app waits to be logged in as you at ${host}:`,
  },
  link: {
    title: "Connect this account?",
    yes: "connect it",
    no: "Do not connect it",
    questionOfApp: ({ account, provider, host }: PendingReturn) =>
      html`You are <strong>${account}</strong> at ${provider}. An app asks for this account for whoever is logged in there: from then on it logs in as that user at ${host}. If you are not logged in at that app yourself, refuse.`,
    question: ({ account, provider, host }: PendingReturn, user: string) =>
      html`You are <strong>${account}</strong> at ${provider}. The user <strong>${user}</strong> of ${host} asks for this account: from then on it logs in as ${user} there. If you are not ${user}, refuse.`,
  },
  confirmed: { title: "Confirmed", text: "The app goes on by itself. You can close this page." },
  refused: { title: "Refused", text: "Nothing was done. You can close this page." },
};
type Texts = typeof english;

const german: Texts = {
  app: "App, wie sie sich nennt",
  address: "Ihre Adresse",
  code: "Code",
  unknownAddress: "eine unbekannte Adresse",
  namelessApp: "Eine App, die keinen Namen genannt hat",
  otherAddress: html`<strong>Das ist nicht die Adresse dieses Browsers.</strong> Wenn Sie das nicht selbst begonnen haben, auf Ihrem eigenen Gerät, will jemand Ihr Konto benutzen.`,
  warning: "Machen Sie nur weiter, wenn Sie das gerade eben begonnen haben und die App diesen Code zeigt.",
  codeShown: (then) => `Die App zeigt diesen Code: ${then}`,
  login: {
    title: "Sind Sie das?",
    yes: "anmelden",
    no: "Nicht anmelden",
    question: ({ account, provider, host }) =>
      html`Sie sind <strong>${account}</strong> bei ${provider}. Eine App wartet darauf, bei ${host} als Sie angemeldet zu werden:`,
  },
  link: {
    title: "Dieses Konto verbinden?",
    yes: "verbinden",
    no: "Nicht verbinden",
    questionOfApp: ({ account, provider, host }) =>
      html`Sie sind <strong>${account}</strong> bei ${provider}. Eine App möchte dieses Konto für die Person haben, die dort angemeldet ist: Es meldet von da an bei ${host} als diese Person an. Wenn nicht Sie selbst in dieser App angemeldet sind, lehnen Sie ab.`,
    question: ({ account, provider, host }, user) =>
      html`Sie sind <strong>${account}</strong> bei ${provider}. <strong>${user}</strong> bei ${host} möchte dieses Konto haben: Es meldet von da an dort als ${user} an. Wenn Sie nicht ${user} sind, lehnen Sie ab.`,
  },
  confirmed: {
    title: "Bestätigt",
    text: "In der App geht es von selbst weiter. Sie können diese Seite schließen.",
  },
  refused: { title: "Abgelehnt", text: "Es wurde nichts getan. Sie können diese Seite schließen." },
};

const texts: Readonly<Record<Language, Texts>> = { en: english, de: german };

/**
 * Asks the person to confirm. Whoever waits on the socket may be somebody else who sent the person here. So the page
 * says what is about to be done, for whom, and from where (RFC 8628 section 5.4).
 */
export function confirmPage(context: PageContext, pending: PendingReturn): HttpResponse {
  const { linksTo, code, address, answerToken, isSameAddress } = pending;
  const words = texts[context.language];
  const { title, yes, no } = linksTo === null ? words.login : words.link;
  const question = questionOf(pending, words);
  const warning = isSameAddress
    ? html``
    : html`      <p role="alert">${words.otherAddress}</p>
`;
  const body = html`      <p>${question}</p>
      <dl>
        <dt>${words.app}</dt><dd>${clientText(pending, words)}</dd>
        <dt>${words.address}</dt><dd>${address ?? words.unknownAddress}</dd>
        <dt>${words.code}</dt><dd><strong>${code}</strong></dd>
      </dl>
${warning}      <p>${words.warning}</p>
      <form method="post" action="${context.root}/auth/oidc/confirm">
        <input type="hidden" name="return" value="${answerToken}">
        <button type="submit" name="answer" value="yes">${words.codeShown(yes)}</button>
        <button class="second" type="submit" name="answer" value="no">${no}</button>
      </form>`;
  return htmlPage(context, { title, body, policy: plainPagePolicy });
}

function questionOf(pending: PendingReturn, { login, link }: Texts): Html {
  const { linksTo } = pending;
  if (linksTo === null) return login.question(pending);
  return linksTo.user === null ? link.questionOfApp(pending) : link.question(pending, linksTo.user);
}

function clientText({ clientId, clientName }: PendingReturn, { namelessApp }: Texts): string {
  if (clientName === null) return clientId ?? namelessApp;
  return clientId === null ? clientName : `${clientName} (${clientId})`;
}

export function confirmedPage(context: PageContext, agreed: boolean): HttpResponse {
  const words = texts[context.language];
  const { title, text } = agreed ? words.confirmed : words.refused;
  return htmlPage(context, { title, body: html`      <p>${text}</p>`, policy: plainPagePolicy });
}
