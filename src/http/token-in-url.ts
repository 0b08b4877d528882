import { AuthError } from "../auth/errors.ts";

/**
 * Names that carry a secret. A URL ends up in histories, referrers and logs of proxies. So a secret that came in one
 * is compromised, and is not accepted (RFC 9700 section 4.3.2). `authSig` of a signed path is made for URLs.
 */
const secretParameters: ReadonlySet<string> = new Set([
  "access_token",
  "refresh_token",
  "token",
  "api_password",
  "password",
  "setup_code",
  "code_verifier",
]);

/** Compares names without case. Throws `token_in_url`. */
export function refuseTokenInUrl(url: URL): void {
  for (const name of url.searchParams.keys())
    if (secretParameters.has(name.toLowerCase())) throw new AuthError("token_in_url");
}
