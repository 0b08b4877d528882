import { type ErrorName, errorCodes } from "../../protocol/errors.ts";
import type { AuthError } from "../auth/errors.ts";
import type { HttpHeaders, HttpResponse } from "./endpoint.ts";
import { html, htmlPage, type PageContext } from "./html-page.ts";
import type { Language } from "./languages.ts";
import { plainPagePolicy } from "./pages.ts";

const english = {
  title: "That did not work",
  notFound: "There is nothing here",
  again: "Try again",
  back: "Go back to the app and start again.",
  code: "Code of this error:",
  details: "Details, for whoever looks after the app:",
};
type Texts = typeof english;

const german: Texts = {
  title: "Das hat nicht funktioniert",
  notFound: "Hier ist nichts",
  again: "Noch einmal versuchen",
  back: "Gehen Sie zurück zur App und beginnen Sie neu.",
  code: "Code dieses Fehlers:",
  details: "Einzelheiten, für wen die App betreut:",
};

const texts: Readonly<Record<Language, Texts>> = { en: english, de: german };

/** In place of the public texts, which are for developers. Every other code has only its public text. */
const problems: Readonly<Record<Language, Partial<Record<ErrorName, string>>>> = {
  en: {
    invalid_client: "The app that sent you here is not set up correctly.",
    invalid_redirect_uri: "The app that sent you here is not set up correctly.",
    invalid_format: "The app that sent you here asked in a way that this gateway does not understand.",
    not_found: "No page of this gateway has this address.",
    unknown_error: "The gateway made a mistake. Its log says more.",
  },
  de: {
    invalid_client: "Die App, von der Sie kommen, ist nicht richtig eingerichtet.",
    invalid_redirect_uri: "Die App, von der Sie kommen, ist nicht richtig eingerichtet.",
    invalid_format: "Die App, von der Sie kommen, hat etwas gefragt, das dieses Gateway nicht versteht.",
    invalid_request_uri: "Die Anfrage der App ist unbekannt, schon benutzt oder abgelaufen.",
    invalid_return: "Diese Anmeldung wurde nicht in diesem Browser begonnen, oder sie ist vorbei.",
    not_found: "Keine Seite dieses Gateways hat diese Adresse.",
    overloaded: "Das Gateway ist ausgelastet.",
    provider_error: "Der Anmeldedienst hat falsch geantwortet.",
    provider_refused: "Der Anmeldedienst hat die Anmeldung abgelehnt.",
    provider_unavailable: "Der Anmeldedienst antwortet nicht.",
    rate_limited: "Zu viele Versuche. Warten Sie ein wenig.",
    token_in_url: "Die Adresse enthält ein Geheimnis. Dieses Gateway nimmt in Adressen keines an.",
    unavailable: "Das Gateway kann gerade nicht antworten.",
    unknown_error: "Das Gateway hat einen Fehler gemacht. Mehr steht in seinem Protokoll.",
  },
};

/**
 * Where a person's browser was sent and cannot go on. The only way from here is the same address again: what the request
 * says of other places was not checked.
 */
export function errorPage(
  context: PageContext,
  error: AuthError,
  init: { readonly status: number; readonly headers: HttpHeaders; readonly method: string },
): HttpResponse {
  const words = texts[context.language];
  const { code, publicMessage } = error;
  const own = problems[context.language][code];
  const { retryable = false } = errorCodes[code] as { readonly retryable?: boolean };
  const isGet = init.method === "GET" || init.method === "HEAD";
  const way = retryable && isGet ? html`<a href="">${words.again}</a>` : html`${words.back}`;
  const tells = own === undefined || publicMessage !== errorCodes[code].text;
  const details =
    tells && own !== undefined
      ? html`      <p>${words.details} <span lang="en">${publicMessage}</span></p>\n`
      : html``;
  const body = html`      <p role="alert">${own === undefined ? html`<span lang="en">${publicMessage}.</span>` : own}</p>
${details}${code === "not_found" ? html`` : html`      <p>${way}</p>\n`}      <p class="hint">${words.code} <code>${code}</code></p>`;
  const title = code === "not_found" ? words.notFound : words.title;
  return htmlPage(context, {
    title,
    body,
    policy: plainPagePolicy,
    status: init.status,
    headers: init.headers,
  });
}
