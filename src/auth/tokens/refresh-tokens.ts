/**
 * Refresh tokens (D5) need no row: version, session id, generation and a MAC under a key of that session, which is
 * derived from the installation's secret, so garbage is refused without a store call.
 */
export interface RefreshTokens {
  issue(sessionId: string, generation: number): string;
  /** Undefined unless the token was issued here. NOT yet verified: session and generation. */
  read(token: string): { readonly sessionId: string; readonly generation: number } | undefined;
}
