import { randomBytes, timingSafeEqual } from "node:crypto";
import { availableParallelism } from "node:os";
import { limits } from "../../../protocol/features.ts";
import { isProofCost } from "../../../protocol/scram.ts";
import { AuthError } from "../errors.ts";
import { areSameCosts, type CostInUse, isNative } from "./cost-in-use.ts";
import { type ImportedHash, isImported } from "./imported/imported-hash.ts";
import { KdfPool, type KdfPoolOptions } from "./kdf-pool.ts";
import type { KdfKeys, KdfResult, KdfRun } from "./kdf-thread.ts";
import { checkPassword, normalisePassword } from "./password-rules.ts";
import { areParametersSane, areWeaker, defaultParameters } from "./scrypt-parameters.ts";
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

/** What is stored of a password. */
export type StoredPassword = Verifier | ImportedHash;

/** Which queue a password waits in. */
export interface QueuePlace {
  /** The queue is shared fairly between keys. */
  readonly key: string;
  /**
   * Whether it waits in the reserved queue: for callers who are authenticated, or logged in from this address
   * recently.
   */
  readonly reserved: boolean;
  /** True if nobody waits for the result any more: then nothing is hashed, and the job is refused as `overloaded`. */
  readonly isGone?: (() => boolean) | undefined;
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
   * Checks a password in constant time. Without a stored one the same work is done on a dummy, and the answer is false.
   * The work is one run at each cost of `inUse`, whatever is stored for this name. So the time is the same for a name
   * with an old verifier, one with a new verifier, one with an imported hash and an unknown name. Without `inUse` it is
   * one run at the cost of what is stored, or the current one. `outdated`: the password is right, and what is stored is
   * weaker than the current parameters, imported, or costs more than a proof may. An imported bcrypt hash is not outdated
   * for a password of more than 72 bytes, or with a NUL: it does not say whether all of that is right.
   */
  verify(
    password: string,
    stored: StoredPassword | undefined,
    place: QueuePlace,
    inUse?: readonly CostInUse[],
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
    async verify(password, stored, place, inUse = []) {
      const ok = await matches(
        pool,
        runsOf(stored ?? dummy, inUse, parameters),
        password,
        stored ?? dummy,
        place,
      );
      const outdated =
        stored !== undefined && isOutdated(stored, parameters) && !isAmbiguous(stored, password);
      return { ok, outdated: ok && outdated };
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
  const secrets = { password: bytesOf(normalisePassword(password)), typed: new Uint8Array(0) };
  const job = { ...secrets, salt, runs: [parameters], kept: 0 };
  const keys = keysIn(await pool.run(job, { key: queueKey, reserved: true }));
  return {
    salt: salt.toString("base64url"),
    ...parameters,
    storedKey: Buffer.from(keys.storedKey).toString("base64url"),
    serverKey: Buffer.from(keys.serverKey).toString("base64url"),
  };
}

function keysIn(result: KdfResult): KdfKeys {
  if ("hash" in result) throw new AuthError("unavailable", { detail: "a password thread gave no keys" });
  return result;
}

/** A cost above what clients accept for a proof is outdated too, if today's is not: the next login is then proved. */
function isOutdated(stored: StoredPassword, parameters: ScryptParameters): boolean {
  if (isImported(stored) || areWeaker(stored, parameters)) return true;
  return !isProofCost(stored) && isProofCost(parameters);
}

/** Carries out the runs, whatever is stored, then compares in constant time. */
async function matches(
  pool: KdfPool,
  runs: Runs,
  password: string,
  stored: StoredPassword | Dummy,
  place: QueuePlace,
): Promise<boolean> {
  const secrets = { password: bytesOf(normalisePassword(password)), typed: bytesOf(password) };
  const fits = secrets.password.length <= limits.password && secrets.typed.length > 0;
  const salt = Buffer.from(stored.salt, "base64url");
  const result = await pool.run({ ...secrets, salt, ...runs }, place);
  const expected = isImported(stored) ? stored.hash : stored.storedKey;
  const computed = "hash" in result ? result.hash : result.storedKey;
  const equal = timingSafeEqual(computed, Buffer.from(expected, "base64url"));
  return equal && fits && !("dummy" in stored);
}

/** bcrypt looks at so many bytes. */
const bcryptBytes = 72;

/**
 * The hash does not say whether all of the password is right, so what was typed must not take its place. bcrypt repeats
 * the password with a NUL behind it, so with a NUL in it several passwords have one hash.
 */
function isAmbiguous(stored: StoredPassword, password: string): boolean {
  const isBcrypt = isImported(stored) && stored.cost.kdf === "bcrypt";
  return isBcrypt && (Buffer.byteLength(password) > bcryptBytes || password.includes("\0"));
}

interface Runs {
  readonly runs: readonly KdfRun[];
  readonly kept: number;
}

/** If the cost of what is stored is not in the list, it is run in addition. */
function runsOf(
  stored: StoredPassword | Dummy,
  inUse: readonly CostInUse[],
  current: ScryptParameters,
): Runs {
  const own = costOf(stored);
  const native = inUse.filter(isNative);
  // Nobody has a verifier yet: new names will.
  const listed = inUse.length > 0 && native.length === 0 ? [current, ...inUse] : inUse;
  const costs = listed.length > 0 ? listed : [own ?? current];
  const found = own === undefined ? 0 : costs.findIndex((cost) => areSameCosts(cost, own));
  const kept = found === -1 ? costs.length : found;
  const all = found === -1 && own !== undefined ? [...costs, own] : costs;
  const bytes = isImported(stored) ? Buffer.byteLength(stored.hash, "base64url") : keyBytes;
  return { runs: all.map((cost, place) => runOf(cost, place === kept ? bytes : keyBytes)), kept };
}

function runOf(cost: CostInUse, bytes: number): KdfRun {
  return isNative(cost) ? cost : { imported: cost, bytes: cost.kdf === "pbkdf2" ? cost.bytes : bytes };
}

/** Undefined for the dummy. */
function costOf(stored: StoredPassword | Dummy): CostInUse | undefined {
  if (isImported(stored)) return stored.cost;
  return "N" in stored ? parametersOf(stored) : undefined;
}

type Dummy = Pick<Verifier, "salt" | "storedKey"> & { readonly dummy: true };

/** The verifier that an unknown name is compared with. No password matches it. */
function dummyVerifier(): Dummy {
  const random = (bytes: number) => randomBytes(bytes).toString("base64url");
  return { salt: random(saltBytes), storedKey: random(keyBytes), dummy: true };
}

/** UTF-8 in a buffer of its own, so that it can be transferred to a thread and wiped. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Buffer.byteLength(text));
  new TextEncoder().encodeInto(text, bytes);
  return bytes;
}
