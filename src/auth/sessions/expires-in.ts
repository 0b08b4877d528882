/**
 * RFC 6749's `expires_in`: whole seconds from `now` to `expiresAt` (both ms). Rounded up, because a token's `iat` is
 * rounded down: a new 30-minute token says 1800, as Home Assistant's does.
 */
export function expiresIn(expiresAt: number, now: number): number {
  return Math.max(0, Math.ceil((expiresAt - now) / 1000));
}
