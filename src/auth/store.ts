import { AuthError } from "./errors.ts";

/**
 * The store port: versioned records, member indexes and one log, changed only by `commit`. Two adapters implement it
 * (embedded lmdb, Redis) and one contract suite holds them to what is written here.
 */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export type JsonObject = { readonly [key: string]: JsonValue | undefined };

/** Names are made by record-keys.ts only: a fixed kind, then opaque ids or hashes, never raw user input. */
export type RecordKey = string & { readonly __brand: "record" };
export type IndexKey = string & { readonly __brand: "index" };

export interface StoredRecord {
  /**
   * The number of the commit that wrote it: rises with every change, also across removal and re-creation. Numbers are
   * microseconds of the store's clock where that is ahead of the last number, so that they do not fall when the store
   * goes back in time (a failover to an older copy). Exact integers below 2^53.
   */
  readonly version: number;
  readonly value: JsonObject;
}

/** A place in the log; opaque, but of one store comparable with `comparePositions` of that store. */
export type LogPosition = string;

export interface LogEntry {
  readonly position: LogPosition;
  /** The store's clock at the commit, in milliseconds since the epoch. */
  readonly at: number;
  /** The version of the commit that appended it. Where the event raised a record, that record's new epoch. */
  readonly version: number;
  readonly event: JsonObject;
}

/**
 * One atomic step. First every check is compared; then, all or nothing, the rest is applied in the order of the
 * fields. A record that is put, raised or newly made gets the commit's version.
 */
export interface Step {
  /** The record has exactly this version; 0 means that it does not exist. */
  readonly check?: readonly { readonly key: RecordKey; readonly version: number }[];
  /**
   * Writes whole records. `expiresAt` (ms since the epoch) is garbage collection only: the record may vanish any time
   * after it, and may still be read after it, so whoever reads checks the time itself.
   */
  readonly put?: readonly {
    readonly key: RecordKey;
    readonly value: JsonObject;
    readonly expiresAt?: number | undefined;
  }[];
  readonly remove?: readonly RecordKey[];
  /** Adds a member to an index; adding twice is once. */
  readonly link?: readonly { readonly index: IndexKey; readonly member: string }[];
  readonly unlink?: readonly { readonly index: IndexKey; readonly member: string }[];
  /** Epoch records: created when absent, their version becomes the commit's; value and end stay as they are. */
  readonly bumpEpochs?: readonly RecordKey[];
  /**
   * Epoch records: the version becomes the greater of its own and this one and never falls, value and end stay; created
   * when absent. The commit's own number is above all of these.
   */
  readonly raiseEpochsTo?: readonly { readonly key: RecordKey; readonly version: number }[];
  /** Appended to the log in this order. */
  readonly log?: readonly JsonObject[];
  /**
   * It takes rights away, or decides on them: wait, a bounded time, for more than the primary's memory before the promise
   * resolves, which never fails for that; and be written while there is any room, also where other steps are refused. Redis
   * writes steps of nothing but log entries then too.
   */
  readonly durable?: boolean;
}

/**
 * What held the commit when its promise resolved, as the store itself reported it, never as it is configured: the
 * primary's memory; a disk that was flushed; also a replica's memory.
 */
export type Durability = "memory" | "fsync" | "replicated";

export type CommitOutcome =
  | {
      readonly ok: true;
      readonly version: number;
      readonly positions: readonly LogPosition[];
      readonly durability: Durability;
    }
  /** A check failed; nothing was changed. */
  | { readonly ok: false; readonly conflict: RecordKey };

export interface LogFollower {
  /**
   * Settles when everything that was in the log at the call has been delivered. `since` is how far back (ms) the
   * delivery reached: later than asked when the log had been trimmed.
   */
  readonly caughtUp: Promise<{ readonly since: number }>;
  /**
   * False while the tail is not known to be in step with the store (connection lost, read overdue), or follows another
   * server than the one that answers `get` and `commit`.
   */
  readonly following: boolean;
  /**
   * Changes with every connection that is made anew. Between two equal numbers, both seen while `following`, the store
   * answered from the very log that is followed. It may have been another server for a moment where they differ: one that
   * came back without its data before it was known to have lost its office.
   */
  readonly followGeneration: number;
  /**
   * Milliseconds since the last look began after which everything that the log held then had been delivered; Infinity
   * before the first one and from a `lost` on. Of a store with a server it says only what the server that is read knew.
   */
  readAgeMs(): number;
  /**
   * Drops the connection that the tail reads from and goes on, from its position, on a new one: for a tail that may
   * follow an old primary. Without effect where there is no connection.
   */
  restart(): void;
  stop(): Promise<void>;
}

/**
 * `lost`: the log that answers is not the one that was followed. What was delivered (or committed by this process) is
 * not in it, though it reaches back far enough: writes were lost in a failover, or it was flushed, or restored.
 * `trimmed`: it was trimmed past what was delivered; entries in between were missed.
 */
export type LogBreak = "lost" | "trimmed";

export interface StoreGuarantee {
  /**
   * How long a primary that has lost its office, cut off together with this process, can go on accepting commits
   * beyond the earliest moment at which another may have been promoted. Infinity: no end, or not known.
   */
  readonly stalePrimaryWindowMs: number;
  /** The shortest of several round trips to the slowest server, ms. Undefined where no server is asked, or none answered. */
  readonly roundTripMs?: number | undefined;
  /** For people: what it follows from. */
  readonly detail: string;
  /** For people: what should be set up otherwise, and how. */
  readonly problems: readonly string[];
}

export interface StoreHealth {
  readonly ok: boolean;
  readonly latencyMs: number;
  /** For people: what is used and what is wrong. No secrets (a URL's password is masked). */
  readonly detail: string;
}

/**
 * Every method rejects with `AuthError("unavailable")` when the store cannot answer in time; it never hangs and never
 * crashes the process. After such a rejection of `commit` the step may or may not have been applied.
 */
export interface Store {
  readonly kind: "embedded" | "redis";
  /** Reads records at one moment; sees every commit that was acknowledged before the call. */
  get(keys: readonly RecordKey[]): Promise<readonly (StoredRecord | undefined)[]>;
  /** Members of an index in byte order, those after `after`, at most `limit` (1 to 1000). */
  list(
    index: IndexKey,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly string[]>;
  commit(step: Step): Promise<CommitOutcome>;
  /**
   * Delivers log entries in order, each at least once, from those with `at >= since` on, and goes on until stopped,
   * across reconnects and restarts of the store. Entries of other processes arrive too. Whatever is delivered comes
   * from a log that still holds the entry delivered last, with the same content, and that is looked at once a second
   * when nothing comes. Where it does not, `onBreak` is told before anything else is delivered; after `lost` delivery
   * starts over from `since`, and the follower is not `following` until it has reached the end again.
   */
  follow(
    since: number,
    onEntries: (entries: readonly LogEntry[]) => void,
    onBreak?: (kind: LogBreak) => void,
  ): LogFollower;
  /** Below 0 when `a` came before `b`, 0 for the same place. */
  comparePositions(a: LogPosition, b: LogPosition): number;
  /** Asks the store how it is set up; unlike the other methods it says in `problems` what it could not find out. */
  guarantee(): Promise<StoreGuarantee>;
  /**
   * `performance.now()` of the last moment at which a majority of the Sentinels named and reached the primary that commits
   * go to, since the connection to it was made; -Infinity before the first, and while one of them is replacing it. They are
   * asked while somebody follows. Infinity where that is not a question.
   */
  primaryConfirmedAt(): number;
  /** The clock of the server that commits go to, ms; undefined where the store has no clock but this machine's. */
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

/**
 * One atomic step from several: all checks of all parts, then everything of the first part before the second's; durable
 * when one of them is.
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
 * Optimistic concurrency: runs `attempt`, which reads, decides and commits, until its commit was not in conflict
 * (undefined means that it was). Throws `conflict` when others were faster every time.
 */
export async function retryConflicts<Result>(attempt: () => Promise<Result | undefined>): Promise<Result> {
  for (let count = 0; count < maxAttempts; count += 1) {
    const result = await attempt();
    if (result !== undefined) return result;
  }
  throw new AuthError("conflict", { detail: `a commit was in conflict ${maxAttempts} times` });
}
