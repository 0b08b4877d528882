import { AuthError } from "./errors.ts";

/**
 * The store port: versioned records, member indexes and one log, changed only by `commit`. Two adapters implement it
 * (embedded lmdb, Redis). One contract suite tests both.
 */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export type JsonObject = { readonly [key: string]: JsonValue | undefined };

/** Made by record-keys.ts only: a fixed kind, then opaque ids or hashes, never raw user input. */
export type RecordKey = string & { readonly __brand: "record" };
export type IndexKey = string & { readonly __brand: "index" };

export interface StoredRecord {
  /**
   * The number of the commit that wrote the record. It rises with every change, also across removal and re-creation.
   * A number is the store's clock in microseconds if that is higher than the last number, so numbers do not fall when
   * the store goes back in time (a failover to an older copy). Exact integers below 2^53.
   */
  readonly version: number;
  readonly value: JsonObject;
}

/** A position in the log. Opaque; positions of one store are compared with its `comparePositions`. */
export type LogPosition = string;

export interface LogEntry {
  readonly position: LogPosition;
  /** The store's clock at the commit, in milliseconds since the epoch. */
  readonly at: number;
  /** The version of the commit that appended it. If the commit bumped an epoch, the new epoch. */
  readonly version: number;
  readonly event: JsonObject;
}

/** Each record has exactly this version; 0 means that it does not exist. */
export type Checks = readonly { readonly key: RecordKey; readonly version: number }[];

/**
 * One atomic step. First every check is compared. Then the rest is applied in the order of the fields, all or
 * nothing. A record that is put, bumped or created gets the commit's version. Functions that build a step, or a part
 * of one, end in what they build: `...Step`, `...Put`, `...Checks`. They change nothing by themselves.
 */
export interface Step {
  readonly check?: Checks;
  /**
   * Writes whole records. `expiresAt` (ms since the epoch) is for garbage collection only: the record may be removed
   * at any time after it, and may still be read after it. So readers check times themselves.
   */
  readonly put?: readonly {
    readonly key: RecordKey;
    readonly value: JsonObject;
    readonly expiresAt?: number | undefined;
  }[];
  readonly remove?: readonly RecordKey[];
  /** Adds members to indexes; idempotent. */
  readonly link?: readonly { readonly index: IndexKey; readonly member: string }[];
  readonly unlink?: readonly { readonly index: IndexKey; readonly member: string }[];
  /** Epoch records: created if absent. Their version becomes the commit's; value and expiry do not change. */
  readonly bumpEpochs?: readonly RecordKey[];
  /**
   * Epoch records: created if absent. The version becomes the higher one of its own and this one, and never falls;
   * value and expiry do not change. The commit's own number is higher than all of these.
   */
  readonly raiseEpochsTo?: readonly { readonly key: RecordKey; readonly version: number }[];
  /** Appended to the log in this order. */
  readonly log?: readonly JsonObject[];
  /**
   * The step removes or decides on rights. Before the promise resolves, the store waits a bounded time for more than
   * the primary's memory; the commit never fails because of that. The step is written while there is any space, also
   * if other steps are refused. In that state Redis also writes steps that contain only log entries.
   */
  readonly durable?: boolean;
}

/**
 * Where the commit was stored when its promise resolved, as the store reported it and not as it is configured: in the
 * primary's memory; on a disk that was flushed; also in a replica's memory.
 */
export type Durability = "memory" | "fsync" | "replicated";

export type CommitOutcome =
  | {
      readonly ok: true;
      readonly version: number;
      readonly positions: readonly LogPosition[];
      readonly durability: Durability;
    }
  /** A check failed. Nothing was changed. */
  | { readonly ok: false; readonly conflict: RecordKey };

export interface LogFollower {
  /**
   * Resolves when everything that was in the log at the call has been delivered. `since` is how far back (ms) the
   * delivery reached: later than requested if the log had been trimmed.
   */
  readonly caughtUp: Promise<{ readonly since: number }>;
  /**
   * False while the tail may be behind the store (connection lost, read overdue), or follows another server than the
   * one that answers `get` and `commit`.
   */
  readonly following: boolean;
  /**
   * Changes with every new connection. Between two reads of the same number, both while `following`, the store
   * answered from the log that is followed. If the numbers differ, another server may have answered for a moment: one
   * that came back without its data before it was known to have been demoted.
   */
  readonly followGeneration: number;
  /**
   * Milliseconds since the start of the last read that delivered everything in the log. Infinity before the first
   * read and after a `lost` break. For a store with a server it only covers what that server knew.
   */
  readAgeMs(): number;
  /**
   * Closes the connection that the tail reads from and continues from its position on a new one: for a tail that may
   * follow an old primary. Without effect if there is no connection.
   */
  restart(): void;
  stop(): Promise<void>;
}

/**
 * `lost`: the log is not the one that was followed. Entries that were delivered (or committed by this process) are
 * not in it, although it reaches back far enough: writes were lost in a failover, or the log was flushed or restored.
 * `trimmed`: the log was trimmed past the last delivered entry, and entries in between were missed.
 */
export type LogBreak = "lost" | "trimmed";

export interface StoreGuarantee {
  /**
   * How long a primary that was demoted, and is partitioned off together with this process, can go on accepting
   * commits after the earliest moment at which another may have been promoted. Infinity: without a limit, or not
   * known.
   */
  readonly stalePrimaryWindowMs: number;
  /**
   * The shortest of several round trips to the slowest server, ms. Undefined if no server is asked, or none answered.
   */
  readonly roundTripMs?: number | undefined;
  /** For people: why the guarantee is what it is. */
  readonly detail: string;
  /** For people: misconfigured settings, and how to correct them. */
  readonly problems: readonly string[];
}

export interface StoreHealth {
  readonly ok: boolean;
  readonly latencyMs: number;
  /** For people: what is used and what is wrong. No secrets (a URL's password is masked). */
  readonly detail: string;
}

/**
 * Every method rejects with `AuthError("unavailable")` if the store cannot answer in time. None hangs or crashes the
 * process. After such a rejection of `commit` the step may or may not have been applied.
 */
export interface Store {
  readonly kind: "embedded" | "redis";
  /** Reads records at one moment. Sees every commit that was acknowledged before the call. */
  get(keys: readonly RecordKey[]): Promise<readonly (StoredRecord | undefined)[]>;
  /** Members of an index in byte order, those after `after`, at most `limit` (1 to 1000). */
  list(
    index: IndexKey,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly string[]>;
  /** Whether an index has more than `count` members (0 or more). Costs less than listing them. */
  hasMoreThan(index: IndexKey, count: number): Promise<boolean>;
  commit(step: Step): Promise<CommitOutcome>;
  /**
   * Delivers log entries in order, each at least once, starting with those of `at >= since`, until it is stopped,
   * across reconnects and restarts of the store. Entries of other processes are delivered too. Before a delivery the
   * follower verifies that the log still contains the last delivered entry with the same content; if nothing arrives,
   * it verifies that once a second. If the entry is missing, `onBreak` is called before anything else is delivered.
   * After `lost` the delivery starts over from `since`, and the follower is not `following` until it has reached the
   * end again.
   */
  follow(
    since: number,
    onEntries: (entries: readonly LogEntry[]) => void,
    onBreak?: (kind: LogBreak) => void,
  ): LogFollower;
  /** Negative if `a` came before `b`, 0 for the same position. */
  comparePositions(a: LogPosition, b: LogPosition): number;
  /**
   * Asks the store for its configuration. Unlike the other methods it reports in `problems` what it could not find
   * out.
   */
  guarantee(): Promise<StoreGuarantee>;
  /**
   * `performance.now()` of the last moment at which a majority of the Sentinels named and reached the primary that
   * commits go to, since the connection to it was opened. -Infinity before the first such moment, and while a
   * Sentinel is replacing the primary. The Sentinels are asked while the log is followed. Infinity for a store
   * without Sentinels.
   */
  primaryConfirmedAt(): number;
  /** The clock of the server that commits go to, ms. Undefined if the store has no clock but this machine's. */
  time(): Promise<number | undefined>;
  health(): Promise<StoreHealth>;
  close(): Promise<void>;
}

/** Reads one record. */
export async function readRecord(
  store: Pick<Store, "get">,
  key: RecordKey,
): Promise<StoredRecord | undefined> {
  const [record] = await store.get([key]);
  return record;
}

/** Whether a commit with these checks would not be in conflict, as of this read. */
export async function areUnchanged(store: Pick<Store, "get">, checks: Checks): Promise<boolean> {
  const records = await store.get(checks.map(({ key }) => key));
  return checks.every(({ version }, place) => (records[place]?.version ?? 0) === version);
}

/**
 * Merges several steps into one. All checks of all parts come first, then the changes of the first part before those
 * of the second. Durable if one of them is.
 */
export function mergeSteps(...parts: readonly (Step | undefined)[]): Step {
  const steps = parts.filter((part) => part !== undefined);
  return {
    check: steps.flatMap((step) => step.check ?? []),
    put: steps.flatMap((step) => step.put ?? []),
    remove: steps.flatMap((step) => step.remove ?? []),
    link: steps.flatMap((step) => step.link ?? []),
    unlink: steps.flatMap((step) => step.unlink ?? []),
    bumpEpochs: steps.flatMap((step) => step.bumpEpochs ?? []),
    raiseEpochsTo: steps.flatMap((step) => step.raiseEpochsTo ?? []),
    log: steps.flatMap((step) => step.log ?? []),
    durable: steps.some((step) => step.durable === true),
  };
}

const maxAttempts = 8;

/**
 * Optimistic concurrency: runs `attempt`, which reads, decides and commits, until it returns a result. Undefined
 * means that its commit was in conflict. Throws `conflict` after `maxAttempts` conflicts.
 */
export async function retryConflicts<Result>(attempt: () => Promise<Result | undefined>): Promise<Result> {
  for (let count = 0; count < maxAttempts; count += 1) {
    const result = await attempt();
    if (result !== undefined) return result;
  }
  throw new AuthError("conflict", { detail: `a commit was in conflict ${maxAttempts} times` });
}

/** The result, or undefined if the work was rejected with `conflict`: for an attempt of `retryConflicts`. */
export async function unlessConflict<Result>(work: Promise<Result>): Promise<Result | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof AuthError && error.code === "conflict") return undefined;
    throw error;
  }
}
