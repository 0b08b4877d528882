/**
 * Signed paths (reference 6.5): `?authSig=<jwt>` lets a browser fetch one path without a header. Unlike Home
 * Assistant's they survive a restart and die with their session.
 */
export interface SignedPaths {
  /** The path with its query and `authSig` added. */
  sign(sessionId: string, path: string, ttlSeconds: number): Promise<string>;
  /** The session that signed exactly this path and query; undefined when forged, changed or expired. */
  verify(pathAndQuery: string): Promise<string | undefined>;
}
