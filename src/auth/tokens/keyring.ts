import type { JSONWebKeySet } from "jose";

export interface SigningKeyInfo {
  readonly kid: string;
  readonly alg: "ES256";
  /** `published`: in the JWKS, not yet signing. `active`: signs. `retired`: still verifies. */
  readonly state: "published" | "active" | "retired";
  readonly createdAt: number;
  readonly signsFrom: number;
  /** When the last token that it may have signed has ended; null while it signs. */
  readonly neededUntil: number | null;
}

/**
 * The installation's signing keys: one sealed record, made at first start, rotated with publish-before-use and
 * overlap. Kept in memory; `reload` is called when the log says that another node changed it.
 */
export interface Keyring {
  reload(): Promise<void>;
  /**
   * Adds a key that signs after `leadMs` (default: longer than verifiers cache a JWKS) and retires the present one
   * then. A key stays in the JWKS until the last token that it signed has ended.
   */
  rotate(options?: { readonly leadMs?: number }): Promise<SigningKeyInfo>;
  list(): readonly SigningKeyInfo[];
  /** Public keys (RFC 7517) of all three states. */
  jwks(): JSONWebKeySet;
}
