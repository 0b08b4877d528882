import type { AuthorizeRequest } from "./authorize-request.ts";
import { type Html, html, htmlPage } from "./html-page.ts";
import { type Language, languageFor } from "./languages.ts";
import { elementPagePolicy } from "./pages.ts";

export interface AuthorizePage extends AuthorizeRequest {
  /** Where the gateway is, without a trailing slash. */
  readonly publicUrl: string;
  /** Returned as `iss` (RFC 9207). */
  readonly issuer: string;
  /** Whether "keep me logged in" is ticked at first. */
  readonly remembers: boolean;
  readonly acceptLanguage: string | null;
}

const english = {
  title: (gateway: string) => `Log in to ${gateway}`,
  asks: (app: Html) => html`${app} asks to act as you here.`,
  app: "App",
  host: "Host",
  asksFor: "Asks for",
  everything: "Everything that you may do here, until its session is ended",
  returnsTo: "Returns to",
  warning: (host: string) => html`Go on only if you trust <strong>${host}</strong> and came from there.`,
  remember: "Keep me logged in",
  back: "Back to the app",
  needsScript: "This page needs JavaScript.",
};
type PageTexts = typeof english;

const german: PageTexts = {
  title: (gateway) => `Bei ${gateway} anmelden`,
  asks: (app) => html`${app} möchte hier in Ihrem Namen handeln.`,
  app: "App",
  host: "Host",
  asksFor: "Bittet um",
  everything: "Alles, was Sie hier dürfen, bis ihre Sitzung beendet wird",
  returnsTo: "Zurück zu",
  warning: (host) =>
    html`Machen Sie nur weiter, wenn Sie <strong>${host}</strong> vertrauen und von dort kommen.`,
  remember: "Angemeldet bleiben",
  back: "Zurück zur App",
  needsScript: "Diese Seite braucht JavaScript.",
};

const texts: Readonly<Record<Language, PageTexts>> = { en: english, de: german };

/** Home Assistant's apps, whose client ids say little to people. */
const appNames: Readonly<Record<string, string>> = {
  "https://home-assistant.io/iOS": "Home Assistant for iOS",
  "https://home-assistant.io/android": "Home Assistant for Android",
};

/** Says who asks, for what, and where the person returns to; the login element does the rest. */
export function authorizePage(page: AuthorizePage): Response {
  const { clientId, redirectUri, codeChallenge, publicUrl, issuer } = page;
  const language = languageFor(page.acceptLanguage);
  const words = texts[language];
  const host = hostOf(clientId);
  const app = Object.hasOwn(appNames, clientId) ? appNames[clientId] : undefined;
  const challenge = codeChallenge === null ? html`` : html` code-challenge="${codeChallenge}"`;
  return htmlPage({
    title: words.title(hostOf(publicUrl)),
    language,
    policy: elementPagePolicy,
    root: "..",
    scripts: ["login-element.js", "authorize.js"],
    headers: { "content-language": language, vary: "Accept-Language" },
    body: html`      <p>${words.asks(html`<strong>${app ?? host}</strong>`)}</p>
      <dl>
        <dt>${words.app}</dt><dd>${clientId}</dd>
        <dt>${words.host}</dt><dd>${host}</dd>
        <dt>${words.asksFor}</dt><dd>${words.everything}</dd>
        <dt>${words.returnsTo}</dt><dd>${redirectUri.split("?")[0] ?? ""}</dd>
      </dl>
      <p>${words.warning(host)}</p>
      <noscript><p>${words.needsScript}</p></noscript>
      <gatehouse-login url=".." for="code" client-id="${clientId}" redirect-uri="${redirectUri}"${challenge} data-issuer="${issuer}">${rememberBox(page, words)}</gatehouse-login>
      <p id="back" hidden><a>${words.back}</a></p>`,
  });
}

/** As it is written: what counts as a host here need not be one for `URL`. */
function hostOf(url: string): string {
  return /^[a-z]+:\/\/([^/?#]*)/i.exec(url)?.[1]?.toLowerCase() ?? url;
}

/** As on Home Assistant's page, only for the gateway's own client: no other one reads the answer. */
function rememberBox({ clientId, publicUrl, remembers }: AuthorizePage, { remember }: PageTexts): Html {
  if (clientId !== `${publicUrl}/`) return html``;
  const checked = remembers ? html` checked` : html``;
  return html`<label class="check" slot="options"><input id="store-token" type="checkbox"${checked}> ${remember}</label>`;
}
