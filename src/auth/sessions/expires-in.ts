import type { TokenGrant } from "./sessions.ts";

/**
 * RFC 6749's `expires_in`: the access token's whole life in seconds. Counted from its `iat`, not from the clock, which may
 * be in the next second already: a new 30-minute token says 1800, as Home Assistant's does.
 */
export function expiresIn({ principal }: Pick<TokenGrant, "principal">): number {
  return (principal.tokenExpiresAt - principal.tokenIssuedAt) / 1000;
}
