import { AuthError } from "../auth/errors.ts";

/**
 * Names that carry a secret. A URL ends up in histories, referrers and logs of proxies, so what came in one is burnt
 * and is not taken (RFC 9700 section 4.3.2). `authSig` of a signed path is made for URLs.
 */
const secretParameters = [
  "access_token",
  "refresh_token",
  "token",
  "api_password",
  "password",
  "setup_code",
  "code_verifier",
];

/** Throws `token_in_url`. */
export function refuseTokenInUrl(url: URL): void {
  if (secretParameters.some((name) => url.searchParams.has(name))) throw new AuthError("token_in_url");
}
