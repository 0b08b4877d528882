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

/** Where a password waits for a thread. */
export interface QueuePlace {
  /** Shares the queue fairly. */
  readonly key: string;
  /** In the places that are kept from strangers: whoever waits there is authenticated, or logged in from there lately. */
  readonly reserved: boolean;
}

/**
 * Password hashing in a pool of its own threads, bounded, with admission before any work. All methods throw
 * `AuthError("overloaded")` with a retry time when the queue, or the caller's share of it, is full.
 */
export interface Passwords {
  readonly parameters: ScryptParameters;
  /** Throws `invalid_password` when the password breaks the rules; costs nothing. */
  check(password: string): void;
  /**
   * A verifier with today's parameters and a new salt. Throws `invalid_password` as `check`; `proven` is a password that
   * was right a moment ago and is not held to today's rules. `queueKey` shares the reserved places of the queue fairly.
   */
  enrol(password: string, queueKey: string, options?: { readonly proven?: boolean }): Promise<Verifier>;
  /**
   * Constant time. Without a verifier the same work is done on a dummy and the answer is false. The work is one run with
   * each of `inUse`, whatever the verifier is made with, so that a name with an old verifier, one with a new one and an
   * unknown name are not told apart by the clock; without `inUse` it is one run with the verifier's own parameters, or
   * today's. `outdated`: right, and weaker than today's.
   */
  verify(
    password: string,
    verifier: Verifier | undefined,
    place: QueuePlace,
    inUse?: readonly ScryptParameters[],
  ): Promise<{ readonly ok: boolean; readonly outdated: boolean }>;
  /** Refuses what waits (`unavailable`) and ends the threads. */
  close(): Promise<void>;
}
