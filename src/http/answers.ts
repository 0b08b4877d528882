import { type ErrorCode, errorCodes } from "../../protocol/errors.ts";
import type { HttpMessage, OAuthError } from "../../protocol/http.ts";
import { AuthError } from "../auth/errors.ts";
import { acrOf, StepUpRequired } from "../auth/sessions/recent-login.ts";
import type { HttpHeaders, HttpRequest, HttpResponse } from "./endpoint.ts";
import { errorPage } from "./error-page.ts";
import { pageContext } from "./html-page.ts";

/** RFC 6749 section 5.1: an answer that carries a token must not be cached. */
export const neverStored = { "cache-control": "no-store", pragma: "no-cache" } as const;

export function json(body: unknown, init: { status?: number; headers?: HttpHeaders } = {}): HttpResponse {
  const headers = { "cache-control": "no-store", ...init.headers, "content-type": "application/json" };
  return { status: init.status ?? 200, headers, body: JSON.stringify(body) };
}

export function empty(status = 200, headers: HttpHeaders = {}): HttpResponse {
  return { status, headers: { "cache-control": "no-store", ...headers }, body: "" };
}

/**
 * The format of an error: RFC 6749's at the token endpoint, a page where a person's browser is sent, Home Assistant's
 * `json_message` everywhere else.
 */
export type ErrorStyle = "oauth" | "page" | "message";

export interface ErrorAnswer {
  readonly response: HttpResponse;
  /** For the log. */
  readonly code: string;
  readonly detail: string | undefined;
  /** An error that no code stands for: a defect of ours. */
  readonly defect: boolean;
}

export function answerError(error: unknown, style: ErrorStyle, request: HttpRequest): ErrorAnswer {
  if (style === "oauth") return oauthError(error);
  return style === "page" ? pageError(error, request) : messageError(error);
}

function pageError(error: unknown, request: HttpRequest): ErrorAnswer {
  const known = error instanceof AuthError ? error : new AuthError("unknown_error");
  const { status } = errorCodes[known.code];
  const init = { status, headers: retryHeaders(known, status), method: request.method };
  const response = errorPage(pageContext(request), known, init);
  return { response, code: known.code, detail: known.detail, defect: known !== error };
}

function messageError(error: unknown): ErrorAnswer {
  const known = error instanceof AuthError ? error : new AuthError("unknown_error");
  const { status } = errorCodes[known.code];
  const body: HttpMessage = { message: known.publicMessage, code: known.code };
  const response = json(body, { status, headers: retryHeaders(known, status) });
  return { response, code: known.code, detail: known.detail, defect: known !== error };
}

/** Codes whose text Home Assistant sends as `error_description`. The others have no description. */
const described: ReadonlySet<string> = new Set([
  "invalid_client",
  "invalid_code",
  "invalid_client_authentication",
  "invalid_client_header",
  "unauthorized_client",
  "invalid_scope",
  "invalid_target",
  "invalid_request_uri",
  "access_denied",
  "rate_limited",
  "overloaded",
  "unavailable",
]);

/** Errors of the HTTP request itself. Programs get them in one form from every endpoint. */
const ofRequest: ReadonlySet<string> = new Set(["payload_too_large", "token_in_url", "method_not_allowed"]);

/**
 * Clients take 400 and 403 for "logged out for good". So only errors of the request itself get one of these. An error
 * that may pass, or that this endpoint has no name for, is 503, or 429 for a rate limit.
 */
function oauthError(error: unknown): ErrorAnswer {
  if (!(error instanceof AuthError)) {
    const response = oauthAnswer(new AuthError("unavailable"), 503, "temporarily_unavailable");
    return { response, code: "unknown_error", detail: undefined, defect: true };
  }
  if (ofRequest.has(error.code)) return messageError(error);
  const { code, detail } = error;
  const entry: ErrorCode = errorCodes[code];
  if (entry.oauth !== undefined) {
    return { response: oauthAnswer(error, entry.status, entry.oauth), code, detail, defect: false };
  }
  const response = oauthAnswer(new AuthError("unavailable"), 503, "temporarily_unavailable");
  return { response, code, detail, defect: entry.retryable !== true };
}

function oauthAnswer(error: AuthError, status: number, oauth: string): HttpResponse {
  const own = error.publicMessage !== errorCodes[error.code].text;
  const body: OAuthError =
    own || described.has(error.code)
      ? { error: oauth, error_description: error.publicMessage }
      : { error: oauth };
  return json(body, { status, headers: { ...neverStored, ...retryHeaders(error, status) } });
}

/** RFC 9470 section 3. */
function stepUpChallenge({ demand, publicMessage }: StepUpRequired): string {
  const maxAge = Math.floor(demand.maxAgeMs / 1000);
  const wanted = `acr_values="${acrOf(demand.level)}", max_age="${maxAge}"`;
  return `Bearer error="insufficient_user_authentication", error_description="${publicMessage}", ${wanted}`;
}

function retryHeaders(error: AuthError, status: number): Record<string, string> {
  // RFC 6749 section 5.2: the scheme that the client used.
  if (error.code === "invalid_client_header") return { "www-authenticate": 'Basic realm="gatehouse"' };
  if (error.code === "insufficient_scope") return { "www-authenticate": 'Bearer error="insufficient_scope"' };
  if (error instanceof StepUpRequired) return { "www-authenticate": stepUpChallenge(error) };
  if (status === 401) return { "www-authenticate": "Bearer" };
  if (status !== 503 && status !== 429) return {};
  return { "retry-after": String(Math.max(1, Math.ceil(error.retryAfterSeconds ?? 1))) };
}
