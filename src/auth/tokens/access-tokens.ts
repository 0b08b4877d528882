import type { Principal, Session, User } from "../model.ts";

export type AccessTokenReading =
  /** Genuine and not expired. NOT yet verified: whether its session still lives (revocation view). */
  | { readonly ok: true; readonly principal: Principal }
  | { readonly ok: false; readonly reason: "malformed" | "unknown_key" | "forged" | "expired" };

/**
 * Access tokens (D3): JWTs of the RFC 9068 profile, ES256, which any backend checks through JWKS, with a MAC over
 * everything but itself, which gateway nodes check instead of the signature.
 */
export interface AccessTokens {
  /** `userEpoch` is the version of the user's epoch record that the caller's commit checked. */
  mint(
    session: Session,
    user: User,
    userEpoch: number,
    ttlMs?: number,
  ): Promise<{ readonly token: string; readonly expiresAt: number }>;
  /** Hot path: synchronous, no signature check, no store. */
  read(token: string): AccessTokenReading;
}
