/**
 * A SCRAM-style verifier (RFC 5802 section 3) with scrypt in place of PBKDF2: what is stored lets the server check a
 * password or a proof, and does not let a thief log in without guessing at scrypt's full price.
 */
export interface Verifier {
  readonly salt: string;
  readonly N: number;
  readonly r: number;
  readonly p: number;
  /** SHA-256(HMAC(SaltedPassword, "Client Key")), base64url; SaltedPassword = scrypt(NFKC(password), salt). */
  readonly storedKey: string;
  /** HMAC(SaltedPassword, "Server Key"), base64url. */
  readonly serverKey: string;
}

export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/**
 * Password hashing in a pool of its own threads, bounded, with admission before any work. All methods throw
 * `AuthError("overloaded")` with a retry time when the queue, or the caller's share of it, is full.
 */
export interface Passwords {
  readonly parameters: ScryptParameters;
  /** Throws `invalid_password`: shorter than the minimum, longer than 1024 bytes. `queueKey` shares the queue fairly. */
  enrol(password: string, queueKey: string): Promise<Verifier>;
  /**
   * Constant time. Without a verifier the same work is done on a dummy with the same parameters and the answer is
   * false. `outdated`: right, and made with weaker parameters than today's.
   */
  verify(
    password: string,
    verifier: Verifier | undefined,
    queueKey: string,
  ): Promise<{ readonly ok: boolean; readonly outdated: boolean }>;
  close(): Promise<void>;
}
