import { AuthorizationResponseError, ResponseBodyError } from "openid-client";
import { UpstreamRequestError } from "../../../net/bounded-fetch.ts";
import { AuthError } from "../../errors.ts";

/** The longest chain of causes that is looked through. */
const mostCauses = 8;

/**
 * What a failure at a provider means here. `provider_unavailable`: no answer, or one of 5xx; it may pass.
 * `provider_refused`: it answered the person's request with an error. `provider_error`: an answer that is wrong.
 * The detail holds words of the library, and of the provider only a code of OAuth's form: an answer may hold
 * anything, also a secret.
 */
export function upstreamError(error: unknown): AuthError {
  if (error instanceof AuthError) return error;
  if (error instanceof AuthorizationResponseError)
    return new AuthError("provider_refused", { detail: `the provider answered ${oauthCode(error.error)}` });
  const causes = causesOf(error);
  const request = causes.find((cause) => cause instanceof UpstreamRequestError);
  if (request !== undefined)
    return new AuthError(request.mayPass ? "provider_unavailable" : "provider_error", {
      detail: request.message,
    });
  if (causes.some(isServerFailure))
    return new AuthError("provider_unavailable", { detail: "the provider answered with a status of 5xx" });
  // The innermost error says most: which claim of which token it was. It does not repeat the claim's value.
  const detail = causes
    .map(detailOf)
    .filter((text) => text !== "")
    .at(-1);
  return new AuthError("provider_error", { detail: detail ?? "the provider's answer cannot be used" });
}

function causesOf(error: unknown): readonly unknown[] {
  const causes: unknown[] = [];
  for (let at = error; at !== undefined && at !== null && causes.length < mostCauses; ) {
    causes.push(at);
    at = at instanceof Error ? at.cause : undefined;
  }
  return causes;
}

function isServerFailure(cause: unknown): boolean {
  if (cause instanceof ResponseBodyError) return cause.status >= 500;
  return cause instanceof Response && cause.status >= 500;
}

/** Only errors with a code are of the library's words. That of a JSON parser repeats the text that it could not parse. */
function detailOf(cause: unknown): string {
  if (cause instanceof ResponseBodyError) return `the provider answered ${oauthCode(cause.error)}`;
  if (!(cause instanceof Error) || !("code" in cause) || typeof cause.code !== "string") return "";
  return `${cause.code}: ${cause.message}`.slice(0, 200);
}

/** RFC 6749 section 5.2: an error is a code of ASCII. */
function oauthCode(code: unknown): string {
  return typeof code === "string" && /^[a-z0-9_.-]{1,64}$/i.test(code) ? code : "an error";
}
