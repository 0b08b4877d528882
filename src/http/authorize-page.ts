import { allows, scopesIn } from "../auth/clients/scopes.ts";
import type { AuthorizeRequest } from "./authorize-request.ts";
import type { HttpResponse } from "./endpoint.ts";
import { type Html, html, htmlPage, type PageContext } from "./html-page.ts";
import type { Language } from "./languages.ts";
import { elementPagePolicy } from "./pages.ts";
import { scopeTexts } from "./scope-texts.ts";

export interface AuthorizePage extends AuthorizeRequest {
  /** Where the gateway is, without a trailing slash. */
  readonly publicUrl: string;
  /** Returned as `iss` (RFC 9207). */
  readonly issuer: string;
  /** Whether "keep me logged in" is ticked at first. */
  readonly remembers: boolean;
}

const english = {
  title: (gateway: string) => `Log in to ${gateway}`,
  asks: (app: Html) => html`${app} asks to act as you here.`,
  asksWho: (app: Html) => html`${app} asks to log you in.`,
  app: "App",
  host: "Host",
  asksFor: "Asks for",
  registered: html`An administrator of this gateway has registered this app.`,
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
  asksWho: (app) => html`${app} möchte Sie anmelden.`,
  app: "App",
  host: "Host",
  asksFor: "Bittet um",
  registered: html`Ein Administrator dieses Gateways hat diese App eingetragen.`,
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
export function authorizePage(context: PageContext, page: AuthorizePage): HttpResponse {
  const { clientId, client, redirectUri, publicUrl, issuer } = page;
  const words = texts[context.language];
  const host = hostOf(client === undefined ? clientId : redirectUri);
  const app = client?.name ?? (Object.hasOwn(appNames, clientId) ? appNames[clientId] : undefined);
  return htmlPage(context, {
    title: words.title(hostOf(publicUrl)),
    policy: elementPagePolicy,
    scripts: ["login-element.js", "authorize.js"],
    body: html`      <p>${(allows(page.scope, "api") ? words.asks : words.asksWho)(html`<strong>${app ?? host}</strong>`)}</p>
      <dl>
        <dt>${words.app}</dt><dd>${clientId}</dd>
        <dt>${words.host}</dt><dd>${host}</dd>
        <dt>${words.asksFor}</dt>${scopesOf(page, context.language)}
        <dt>${words.returnsTo}</dt><dd>${redirectUri.split("?")[0] ?? ""}</dd>
      </dl>
      <p>${client === undefined ? words.warning(host) : words.registered}</p>
      <noscript><p>${words.needsScript}</p></noscript>
      <gatehouse-login url="${context.root}" for="code" client-id="${clientId}" redirect-uri="${redirectUri}"${wishesOf(page)} data-issuer="${issuer}">${rememberBox(page, words)}</gatehouse-login>
      <p id="back" hidden><a>${words.back}</a></p>`,
  });
}

/** One line for each scope. */
function scopesOf({ scope }: AuthorizePage, language: Language): Html {
  const { everything, scopes } = scopeTexts[language];
  if (scope === null) return html`<dd>${everything}</dd>`;
  const texts = scopesIn(scope).map((each) => (Object.hasOwn(scopes, each) ? scopes[each] : each));
  return texts.reduce<Html>((lines, text) => html`${lines}<dd>${text ?? ""}</dd>`, html``);
}

/** What the element asks for, as attributes. A pushed request says all of it. */
function wishesOf({
  codeChallenge,
  scope,
  resource,
  nonce,
  requestUri,
  state,
  ...page
}: AuthorizePage): Html {
  const { acrValues = null, maxAge = null } = page;
  const login = { "acr-values": acrValues, "max-age": maxAge === null ? null : String(maxAge) };
  const wishes =
    requestUri === null
      ? { "code-challenge": codeChallenge, scope, resource, "client-nonce": nonce, ...login }
      : { "request-uri": requestUri, state };
  return Object.entries(wishes).reduce<Html>(
    (all, [name, value]) => (value === null ? all : html`${all} ${name}="${value}"`),
    html``,
  );
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
