import type { PendingReturn } from "../auth/providers/oidc/browser-logins.ts";

/** What a page of a login may do: show itself, and send its form here. It has no script. Nothing may frame it. */
const policy =
  "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** HTML that may be put into a page. Everything else is text, and is escaped. */
class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function html(parts: TemplateStringsArray, ...values: readonly (string | Html)[]): Html {
  const inserted = values.map((value) => (value instanceof Html ? value.text : escaped(value)));
  return new Html(parts.map((part, place) => part + (inserted[place] ?? "")).join(""));
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Texts come from providers and clients. Characters that reorder or hide others are left out. */
function escaped(text: string): string {
  const seen = text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Surrogate}\p{Zl}\p{Zp}]/gu, "");
  return seen.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}

function page(
  title: string,
  body: Html,
  init: { readonly status?: number; readonly headers?: HeadersInit } = {},
) {
  const document = html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex">
    <title>${title}</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/setup.css">
  </head>
  <body>
    <main>
      <h1>${title}</h1>
${body}
    </main>
  </body>
</html>
`;
  const headers = new Headers(init.headers);
  headers.set("content-type", "text/html; charset=utf-8");
  headers.set("content-security-policy", policy);
  headers.set("cache-control", "no-store");
  return new Response(document.text, { status: init.status ?? 200, headers });
}

/**
 * Asks the person to confirm. Whoever waits on the socket may be somebody else who sent the person here. So the page
 * says what is about to be done, for whom, and from where (RFC 8628 section 5.4).
 */
export function confirmPage(pending: PendingReturn): Response {
  const { linksTo, code, address, answerToken } = pending;
  const { title, question, yes, no } = linksTo === null ? loginWords(pending) : linkWords(pending, linksTo);
  return page(
    title,
    html`      <p>${question}</p>
      <dl>
        <dt>App, as it calls itself</dt><dd>${clientText(pending)}</dd>
        <dt>Its address</dt><dd>${address ?? "an unknown address"}</dd>
        <dt>Code</dt><dd><strong>${code}</strong></dd>
      </dl>
${addressWarning(pending)}      <p>Go on only if you started this a moment ago and the app shows this code.</p>
      <form method="post" action="/auth/oidc/confirm">
        <input type="hidden" name="return" value="${answerToken}">
        <button type="submit" name="answer" value="yes">The app shows this code: ${yes}</button>
        <button type="submit" name="answer" value="no">${no}</button>
      </form>`,
  );
}

function loginWords({ account, provider, host }: PendingReturn) {
  return {
    title: "Is this you?",
    question: html`You are <strong>${account}</strong> at ${provider}. One app waits to be logged in as you at ${host}:`,
    yes: "log it in",
    no: "Do not log it in",
  };
}

/** Who is deceived here gives the login to somebody else's user. */
function linkWords({ account, provider, host }: PendingReturn, user: string) {
  return {
    title: "Connect this account?",
    question: html`You are <strong>${account}</strong> at ${provider}. The user <strong>${user}</strong> of ${host} asks for this account: from then on it logs in as ${user} there. If you are not ${user}, refuse.`,
    yes: "connect it",
    no: "Do not connect it",
  };
}

function clientText({ clientId, clientName }: PendingReturn): string {
  if (clientName === null) return clientId ?? "An app that gave no name";
  return clientId === null ? clientName : `${clientName} (${clientId})`;
}

function addressWarning({ isSameAddress }: PendingReturn): Html {
  if (isSameAddress) return html``;
  return html`      <p role="alert"><strong>That is not the address of this browser.</strong> If you did not start this yourself, on your own device, somebody is trying to use your account.</p>
`;
}

export function confirmedPage(agreed: boolean): Response {
  return agreed
    ? page("Confirmed", html`      <p>The app goes on by itself. You can close this page.</p>`)
    : page("Refused", html`      <p>Nothing was done. You can close this page.</p>`);
}

/** `text` is a public text of an error, `code` its code. */
export function failedPage(status: number, code: string, text: string, headers: HeadersInit): Response {
  const body = html`      <p role="alert">${text}.</p>
      <p>Go back to the app and start again. Code of this error: <code>${code}</code></p>`;
  return page("The login did not work", body, { status, headers });
}
