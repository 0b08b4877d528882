import { randomBytes, timingSafeEqual } from "node:crypto";
import { availableParallelism } from "node:os";
import { limits } from "../../../protocol/features.ts";
import { KdfPool, type KdfPoolOptions } from "./kdf-pool.ts";
import { checkPassword, normalisePassword } from "./password-rules.ts";
import { areParametersSane, areSame, areWeaker, defaultParameters } from "./scrypt-parameters.ts";
import { keyBytes, parametersOf, saltBytes } from "./verifier.ts";

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

export interface PasswordsOptions {
  /** Of new verifiers. Default: OWASP's floor, N=2^17, r=8, p=1. */
  readonly parameters?: ScryptParameters;
  /** Characters; default 8. */
  readonly minLength?: number;
  /** Threads; default: one less than there are cores, at least one. Each needs 128 * N * r bytes while it works. */
  readonly workers?: number;
  /** Jobs that may wait; default 64. As many places are kept beside them, see `QueuePlace`. */
  readonly queueLimit?: number;
  /** Jobs of one key that may wait or run; default 4. */
  readonly queueLimitPerKey?: number;
  /** For tests that end a thread; default: a worker thread. */
  readonly startThread?: NonNullable<KdfPoolOptions["startThread"]> | undefined;
}

/** What the pool has done, for metrics and tests. */
export interface PasswordsLoad {
  /** KDF jobs that were begun. */
  readonly runs: number;
  readonly waiting: number;
}

/** Passwords over a pool of its own. Throws RangeError for parameters that are not sane (see `areParametersSane`). */
export function createPasswords(
  options: PasswordsOptions = {},
): Passwords & { readonly load: () => PasswordsLoad } {
  const parameters = parametersOf(options.parameters ?? defaultParameters);
  if (!areParametersSane(parameters)) throw new RangeError("scrypt parameters are out of bounds");
  const pool = new KdfPool({
    workers: options.workers ?? Math.max(1, availableParallelism() - 1),
    queueLimit: options.queueLimit ?? 64,
    queueLimitPerKey: options.queueLimitPerKey ?? 4,
    startThread: options.startThread,
  });
  const check = (password: string) => checkPassword(password, options.minLength ?? 8);
  const dummy = dummyVerifier();
  return {
    parameters,
    check,
    load: () => ({ runs: pool.runs, waiting: pool.waiting }),
    async enrol(password, queueKey, { proven } = {}) {
      if (proven !== true) check(password);
      return await enrol(pool, parameters, password, queueKey);
    },
    async verify(password, verifier, place, inUse = []) {
      const sets = inUse.length > 0 ? inUse : [parametersOf(verifier ?? parameters)];
      const right = await matches(pool, sets, password, verifier ?? dummy, place);
      const ok = right && verifier !== undefined;
      return { ok, outdated: ok && areWeaker(verifier, parameters) };
    },
    close: () => pool.close(),
  };
}

async function enrol(
  pool: KdfPool,
  parameters: ScryptParameters,
  password: string,
  queueKey: string,
): Promise<Verifier> {
  const salt = randomBytes(saltBytes);
  const job = { password: bytesOf(password), salt, runs: [parameters], kept: 0 };
  const keys = await pool.run(job, { key: queueKey, reserved: true });
  return {
    salt: salt.toString("base64url"),
    ...parameters,
    storedKey: Buffer.from(keys.storedKey).toString("base64url"),
    serverKey: Buffer.from(keys.serverKey).toString("base64url"),
  };
}

/** One run with each of `sets`, whatever the verifier is made with; a constant-time comparison. */
async function matches(
  pool: KdfPool,
  sets: readonly ScryptParameters[],
  password: string,
  verifier: Verifier | Dummy,
  place: QueuePlace,
): Promise<boolean> {
  const bytes = bytesOf(password);
  const fits = bytes.length <= limits.password;
  const salt = Buffer.from(verifier.salt, "base64url");
  const keys = await pool.run({ password: bytes, salt, ...runsOf(verifier, sets) }, place);
  const equal = timingSafeEqual(keys.storedKey, Buffer.from(verifier.storedKey, "base64url"));
  return equal && fits;
}

/** A verifier whose parameters are not listed is run beside those that are. */
function runsOf(verifier: Verifier | Dummy, sets: readonly ScryptParameters[]) {
  if (!("N" in verifier)) return { runs: sets, kept: 0 };
  const own = parametersOf(verifier);
  const kept = sets.findIndex((set) => areSame(set, own));
  return kept === -1 ? { runs: [...sets, own], kept: sets.length } : { runs: sets, kept };
}

type Dummy = Pick<Verifier, "salt" | "storedKey">;

/** What an unknown name is compared with: nobody has its password. */
function dummyVerifier(): Dummy {
  const random = (bytes: number) => randomBytes(bytes).toString("base64url");
  return { salt: random(saltBytes), storedKey: random(keyBytes) };
}

/** NFKC as UTF-8 in memory that is nobody else's, so that it can be moved to a thread and wiped. */
function bytesOf(password: string): Uint8Array<ArrayBuffer> {
  const text = normalisePassword(password);
  const bytes = new Uint8Array(Buffer.byteLength(text));
  new TextEncoder().encodeInto(text, bytes);
  return bytes;
}
