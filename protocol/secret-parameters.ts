/**
 * Query parameters that carry a secret, in lower case; compared without case. A URL ends up in histories,
 * referrers and logs of proxies. So a secret that came in one is compromised, and is not accepted (RFC 9700
 * section 4.3.2). `authSig` of a signed path is made for URLs.
 */
export const secretParameters: ReadonlySet<string> = new Set([
  "access_token",
  "refresh_token",
  "token",
  "auth",
  "api_password",
  "password",
  "setup_code",
  "code_verifier",
  "client_secret",
  "client_assertion",
  "device_token",
]);

/** Whether a query, without its `?`, has such a parameter. */
export function hasSecretParameter(query: string): boolean {
  for (const name of new URLSearchParams(query).keys())
    if (secretParameters.has(name.toLowerCase())) return true;
  return false;
}
