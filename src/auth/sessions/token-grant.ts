import type { RefreshGrant, SessionGrant } from "../../../protocol/flow.ts";
import type { TokenGrant } from "./sessions.ts";

/** The tokens of a refresh, as they are sent. */
export function refreshGrantOf(grant: TokenGrant): RefreshGrant {
  const rotated = grant.refreshToken === undefined ? {} : { refresh_token: grant.refreshToken };
  return {
    access_token: grant.accessToken,
    token_type: "Bearer",
    expires_in: expiresIn(grant),
    ...rotated,
  };
}

/** The tokens of a new session, as they are sent. */
export function sessionGrantOf(grant: TokenGrant & { readonly refreshToken: string }): SessionGrant {
  return {
    ...refreshGrantOf(grant),
    refresh_token: grant.refreshToken,
    session_id: grant.session.id,
    ha_auth_provider: grant.session.providerType ?? "homeassistant",
  };
}

/**
 * RFC 6749's `expires_in`: the access token's whole life in seconds. It counts from `iat` and not from the clock,
 * which may be in the next second already. So a new 30-minute token says 1800, as in Home Assistant.
 */
export function expiresIn({ principal }: Pick<TokenGrant, "principal">): number {
  return (principal.tokenExpiresAt - principal.tokenIssuedAt) / 1000;
}
