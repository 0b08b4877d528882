import type { PendingReturn } from "../auth/providers/oidc/browser-logins.ts";
import { type Html, html, htmlPage } from "./html-page.ts";

/** What a page of a login may do: show itself, and send its form here. It has no script. Nothing may frame it. */
const policy =
  "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

function page(
  title: string,
  body: Html,
  init: { readonly status?: number; readonly headers?: HeadersInit } = {},
): Response {
  return htmlPage({ title, body, policy, language: "en", ...init });
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
