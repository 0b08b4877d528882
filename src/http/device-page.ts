import type { HttpResponse } from "./endpoint.ts";
import { type Html, html, htmlPage, type PageContext } from "./html-page.ts";
import type { Language } from "./languages.ts";
import { elementPagePolicy } from "./pages.ts";
import { scopeTexts } from "./scope-texts.ts";

const english = {
  title: "Connect a device",
  code: "Code on the device",
  hint: "Eight letters. Go on only if you have the device before you.",
  next: "Go on",
  logIn: "Log in, to say who the device is for.",
  asks: "Is this your device?",
  app: "App",
  shownCode: "Code",
  address: "Its address",
  asksFor: "Asks for",
  resource: "For the service",
  unknown: "not known",
  approve: "Yes, connect it",
  refuse: "No",
  approved: "The device is connected. You can close this page.",
  refused: "The device was refused. You can close this page.",
  notFound: "No device waits with this code. Look at the device, and type it again.",
  rateLimited: "Too many codes that were none. Try again later.",
  failed: "That did not work. Try again.",
  needsScript: "This page needs JavaScript.",
};
type Texts = typeof english;

const german: Texts = {
  title: "Ein Gerät verbinden",
  code: "Code auf dem Gerät",
  hint: "Acht Buchstaben. Machen Sie nur weiter, wenn Sie das Gerät vor sich haben.",
  next: "Weiter",
  logIn: "Melden Sie sich an, damit klar ist, für wen das Gerät ist.",
  asks: "Ist das Ihr Gerät?",
  app: "App",
  shownCode: "Code",
  address: "Seine Adresse",
  asksFor: "Bittet um",
  resource: "Für den Dienst",
  unknown: "nicht bekannt",
  approve: "Ja, verbinden",
  refuse: "Nein",
  approved: "Das Gerät ist verbunden. Sie können diese Seite schließen.",
  refused: "Das Gerät wurde abgelehnt. Sie können diese Seite schließen.",
  notFound:
    "Kein Gerät wartet mit diesem Code. Sehen Sie auf dem Gerät nach, und geben Sie ihn noch einmal ein.",
  rateLimited: "Zu viele falsche Codes. Versuchen Sie es später noch einmal.",
  failed: "Das hat nicht geklappt. Versuchen Sie es noch einmal.",
  needsScript: "Diese Seite braucht JavaScript.",
};

const texts: Readonly<Record<Language, Texts>> = { en: english, de: german };

/**
 * The page on which a person types the code of a device (RFC 8628 section 3.3), logs in, and decides. It can do nothing
 * that another program of that person could not: it asks and decides with commands on the socket.
 */
export function devicePage(
  context: PageContext,
  page: { readonly publicUrl: string; readonly userCode: string },
): HttpResponse {
  const words = texts[context.language];
  return htmlPage(context, {
    title: words.title,
    policy: elementPagePolicy,
    scripts: ["login-element.js", "device.js"],
    body: html`      <noscript><p>${words.needsScript}</p></noscript>
      <form id="code" novalidate>
        <label for="user-code">${words.code}</label>
        <input id="user-code" type="text" autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="16" required value="${page.userCode}" aria-describedby="hint problem">
        <p class="hint" id="hint">${words.hint}</p>
        <button>${words.next}</button>
      </form>
      <section id="login" hidden>
        <p>${words.logIn}</p>
        <template><gatehouse-login url="${context.root}" client-id="${page.publicUrl}/"></gatehouse-login></template>
      </section>
      <section id="decision" hidden>
        <p id="asks" tabindex="-1">${words.asks}</p>
        <dl>
          <dt>${words.app}</dt><dd data-shown="app"></dd>
          <dt>${words.shownCode}</dt><dd data-shown="code"></dd>
          <dt>${words.address}</dt><dd data-shown="address" data-unknown="${words.unknown}"></dd>
          <dt>${words.asksFor}</dt><dd data-shown="scopes"></dd>
          <div data-optional hidden><dt>${words.resource}</dt><dd data-shown="resource"></dd></div>
        </dl>
        <button id="approve" type="button">${words.approve}</button>
        <button id="refuse" type="button" class="second">${words.refuse}</button>
      </section>
      <p id="problem" role="alert"></p>
      <p id="outcome" role="status" tabindex="-1"></p>
      <template id="words">${wordsOf(context, words)}</template>`,
  });
}

/** What the script says, so that it has no words of its own. */
function wordsOf({ language }: PageContext, words: Texts): readonly Html[] {
  const { everything, scopes } = scopeTexts[language];
  const { approved, refused, notFound, rateLimited, failed } = words;
  const outcomes = { approved, refused, not_found: notFound, rate_limited: rateLimited, failed };
  const all = {
    ...outcomes,
    everything,
    ...Object.fromEntries(Object.entries(scopes).map(([name, text]) => [`scope:${name}`, text])),
  };
  return Object.entries(all).map(([name, text]) => html`<i data-word="${name}">${text}</i>`);
}
