import { randomBytes, timingSafeEqual } from "node:crypto";
import { availableParallelism } from "node:os";
import { limits } from "../../../protocol/features.ts";
import { KdfPool, type KdfPoolOptions } from "./kdf-pool.ts";
import { checkPassword, normalisePassword } from "./password-rules.ts";
import { areParametersSane, areSame, areWeaker, defaultParameters } from "./scrypt-parameters.ts";
import { keyBytes, parametersOf, saltBytes } from "./verifier.ts";

/**
 * A SCRAM-style verifier (RFC 5802 section 3) with scrypt in place of PBKDF2. It lets the server check a password or
 * a proof. Somebody who steals it must still guess the password, and each guess costs a full scrypt run.
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

/** Which queue a password waits in. */
export interface QueuePlace {
  /** The queue is shared fairly between keys. */
  readonly key: string;
  /**
   * Whether it waits in the reserved queue: for callers who are authenticated, or logged in from this address
   * recently.
   */
  readonly reserved: boolean;
}

/**
 * Password hashing in a bounded pool of threads, with admission before any work. All methods throw
 * `AuthError("overloaded")` with a retry time if the queue, or the caller's share of it, is full.
 */
export interface Passwords {
  readonly parameters: ScryptParameters;
  /** Rejects with `invalid_password` if the password breaks the rules. Hashes nothing. */
  check(password: string): Promise<void>;
  /**
   * Makes a verifier with the current parameters and a new salt. Throws `invalid_password` as `check` does, except
   * with `proven`: the password was verified a moment ago and need not follow the current rules. `queueKey` is its
   * key in the reserved queue.
   */
  enrol(password: string, queueKey: string, options?: { readonly proven?: boolean }): Promise<Verifier>;
  /**
   * Checks a password in constant time. Without a verifier the same work is done on a dummy, and the answer is false.
   * The work is one run with each of `inUse`, whatever parameters the verifier has. So the time is the same for a
   * name with an old verifier, one with a new verifier and an unknown name. Without `inUse` it is one run with the
   * verifier's own parameters, or the current ones. `outdated`: the password is right, and the verifier is weaker
   * than the current parameters.
   */
  verify(
    password: string,
    verifier: Verifier | undefined,
    place: QueuePlace,
    inUse?: readonly ScryptParameters[],
  ): Promise<{ readonly ok: boolean; readonly outdated: boolean }>;
  /** Rejects waiting jobs with `unavailable` and ends the threads. */
  close(): Promise<void>;
}

export interface PasswordsOptions {
  /** For new verifiers. Default: OWASP's minimum, N=2^17, r=8, p=1. */
  readonly parameters?: ScryptParameters;
  /** In characters; default 15 (NIST SP 800-63B-4 section 3.1.1.2 for passwords that are the only factor). */
  readonly minLength?: number;
  /**
   * Number of threads. Default: the number of cores minus one, at least one. Each needs 128 * N * r bytes while it
   * works.
   */
  readonly workers?: number;
  /** How many jobs may wait; default 64. The reserved queue has the same capacity, see `QueuePlace`. */
  readonly queueLimit?: number;
  /** How many jobs of one key may wait or run; default 4. */
  readonly queueLimitPerKey?: number;
  /** For tests that end a thread; default: a worker thread. */
  readonly startThread?: NonNullable<KdfPoolOptions["startThread"]> | undefined;
}

/** The state of the pool, for metrics and tests. */
export interface PasswordsLoad {
  /** How many KDF jobs were started. */
  readonly runs: number;
  readonly waiting: number;
}

/**
 * Creates passwords with their own thread pool. Throws RangeError for parameters that are not sane (see
 * `areParametersSane`).
 */
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
  const check = (password: string) => checkPassword(password, options.minLength ?? 15);
  const dummy = dummyVerifier();
  return {
    parameters,
    check,
    load: () => ({ runs: pool.runs, waiting: pool.waiting }),
    async enrol(password, queueKey, { proven } = {}) {
      if (proven !== true) await check(password);
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

/** One run with each of `sets`, whatever parameters the verifier has, then a constant-time comparison. */
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

/** If the verifier's parameters are not in the list, they are run in addition. */
function runsOf(verifier: Verifier | Dummy, sets: readonly ScryptParameters[]) {
  if (!("N" in verifier)) return { runs: sets, kept: 0 };
  const own = parametersOf(verifier);
  const kept = sets.findIndex((set) => areSame(set, own));
  return kept === -1 ? { runs: [...sets, own], kept: sets.length } : { runs: sets, kept };
}

type Dummy = Pick<Verifier, "salt" | "storedKey">;

/** The verifier that an unknown name is compared with. No password matches it. */
function dummyVerifier(): Dummy {
  const random = (bytes: number) => randomBytes(bytes).toString("base64url");
  return { salt: random(saltBytes), storedKey: random(keyBytes) };
}

/** NFKC in UTF-8, in a buffer of its own, so that it can be transferred to a thread and wiped. */
function bytesOf(password: string): Uint8Array<ArrayBuffer> {
  const text = normalisePassword(password);
  const bytes = new Uint8Array(Buffer.byteLength(text));
  new TextEncoder().encodeInto(text, bytes);
  return bytes;
}
