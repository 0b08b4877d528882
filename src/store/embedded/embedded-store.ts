import { randomUUID } from "node:crypto";
import { stat, statfs } from "node:fs/promises";
import path from "node:path";

import type { Clock } from "../../auth/clock/clock.ts";
import { AuthError } from "../../auth/errors.ts";
import type {
  CommitOutcome,
  IndexKey,
  LogBreak,
  LogEntry,
  LogFollower,
  LogPosition,
  RecordKey,
  Step,
  Store,
  StoredRecord,
  StoreGuarantee,
  StoreHealth,
} from "../../auth/store.ts";
import { checkCount, checkName, checkPage, prepareStep } from "../step-limits.ts";
import { reasonOf, unavailable } from "../unavailable.ts";
import { applyStep } from "./apply-step.ts";
import { asDamageError } from "./damage.ts";
import { Followers } from "./followers.ts";
import { isAlive, type LockHolder, readLock, releaseLock, takeLock, thisProcess } from "./gateway-lock.ts";
import {
  comparePositions,
  entryText,
  type LogBounds,
  logBounds,
  oldestSequence,
  readEntries,
  startOf,
} from "./log.ts";
import { countMembers, listMembers, readRecord } from "./records.ts";
import { checkedState, readState, writeState } from "./state.ts";
import { StoreFile } from "./store-file.ts";
import { hasGarbage, sweep } from "./sweeper.ts";
import type { Tables } from "./tables.ts";
import { watchFile } from "./watch-file.ts";
import { WriteQueue } from "./write-queue.ts";

export interface EmbeddedStoreOptions {
  readonly folder: string;
  /** There is one gateway at a time. CLI commands open the store beside it. */
  readonly role: "gateway" | "cli";
  readonly clock?: Clock | undefined;
  /** How long the log is kept, ms; 48 hours by default. */
  readonly logKeptMs?: number | undefined;
  /** As `logKeptMs`, with the number of entries; for tests. */
  readonly logBounds?: LogBounds;
  /** How long a commit may wait for its turn and the disk, ms; 5000 by default. */
  readonly timeoutMs?: number | undefined;
}

const sweepEveryMs = 1_000;
/** There is no failover, and a commit is answered only once it is on disk. */
export const embeddedGuarantee: StoreGuarantee = {
  stalePrimaryWindowMs: 0,
  detail: "one process writes one file on its own disk",
  problems: [],
};
const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

/**
 * Opens the store in `folder`, which is created if it is missing. Rejects with `AuthError("conflict")` if another
 * gateway process holds it (the detail names its pid). Rejects with an Error that names the file if it is damaged or
 * not a Gatehouse store.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const file = await StoreFile.open(options.folder);
  try {
    const own = thisProcess(randomUUID());
    await file.transact(
      (tables) => {
        writeState(tables, checkedState(tables));
        const holder = options.role === "gateway" ? takeLock(tables, own) : undefined;
        if (holder !== undefined) throw lockedBy(holder, options.folder);
        // Revocations must get through.
      },
      { revokes: true },
    );
    if (options.role === "gateway") file.claim(own);
    return new EmbeddedStore(file, own, options);
  } catch (error) {
    await file.close();
    throw error instanceof AuthError
      ? error
      : new Error(`cannot open the store ${file.path}: ${reasonOf(asDamageError(error, { reads: false }))}`);
  }
}

/** The live gateway process that holds this folder's store, if there is one. */
export async function embeddedLockHolder(folder: string): Promise<{ readonly pid: number } | undefined> {
  const file = await StoreFile.open(folder);
  try {
    const holder = readLock(file.tables);
    return holder !== undefined && isAlive(holder) ? { pid: holder.pid } : undefined;
  } finally {
    await file.close();
  }
}

function lockedBy(holder: LockHolder, folder: string): AuthError {
  const detail = `the store in ${path.resolve(folder)} is in use by process ${holder.pid}`;
  return new AuthError("conflict", { publicMessage: detail, detail });
}

class EmbeddedStore implements Store {
  readonly kind = "embedded";
  readonly #file: StoreFile;
  readonly #own: LockHolder;
  readonly #role: "gateway" | "cli";
  readonly #clock: Clock;
  readonly #bounds: LogBounds;
  readonly #queue: WriteQueue;
  readonly #followers: Followers;
  readonly #sweeper: NodeJS.Timeout | undefined;
  #sweeping = false;
  #closed: Promise<void> | undefined;

  constructor(file: StoreFile, own: LockHolder, options: EmbeddedStoreOptions) {
    this.#file = file;
    this.#own = own;
    this.#role = options.role;
    this.#clock = options.clock ?? systemClock;
    this.#bounds = options.logBounds ?? { ...logBounds, ageMs: options.logKeptMs ?? logBounds.ageMs };
    this.#followers = new Followers({
      head: () => readState(this.#ownTables()).logHead,
      read: (after, limit) => readEntries(file.tables, after, limit),
      oldest: () => oldestSequence(file.tables),
      textAt: (sequence) => entryText(file.tables, sequence),
      startOf: (since) => startOf(file.latest, since),
      watch: (onWrite) => watchFile(file.path, onWrite),
    });
    this.#queue = new WriteQueue({
      deadlineMs: options.timeoutMs ?? 5_000,
      transact: (batch, how) =>
        file.transact((tables) => {
          this.#requireLock(tables);
          return batch();
        }, how),
      isNearlyFull: () => file.isNearlyFull,
      onDurable: () => this.#followers.pump(),
      recover: () => file.reopen(),
    });
    if (this.#role === "gateway") this.#sweeper = setInterval(() => this.#sweep(), sweepEveryMs).unref();
  }

  async get(keys: readonly RecordKey[]): Promise<readonly (StoredRecord | undefined)[]> {
    for (const key of keys) checkName(key);
    const over = this.#over();
    return this.#read((tables) => keys.map((key) => readRecord(tables, key, over)));
  }

  async list(
    index: IndexKey,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly string[]> {
    checkName(index);
    checkPage(page.limit);
    return this.#read((tables) => listMembers(tables, index, page));
  }

  async hasMoreThan(index: IndexKey, count: number): Promise<boolean> {
    checkName(index);
    checkCount(count);
    return this.#read((tables) => countMembers(tables, index) > count);
  }

  async commit(step: Step): Promise<CommitOutcome> {
    const prepared = prepareStep(step);
    this.#refuseClosed();
    const apply = () =>
      applyStep(this.#file.tables, prepared, { now: this.#clock.now(), over: this.#over() });
    // A step is durable by request only if it takes rights away or decides on them.
    return this.#queue.run(apply, { revokes: step.durable === true });
  }

  follow(
    since: number,
    onEntries: (entries: readonly LogEntry[]) => void,
    onBreak: (kind: LogBreak) => void = () => undefined,
  ): LogFollower {
    return this.#followers.follow({ since, onEntries, onBreak });
  }

  comparePositions(a: LogPosition, b: LogPosition): number {
    return comparePositions(a, b);
  }

  async guarantee(): Promise<StoreGuarantee> {
    return embeddedGuarantee;
  }

  primaryConfirmedAt(): number {
    return Number.POSITIVE_INFINITY;
  }

  async time(): Promise<undefined> {
    return undefined;
  }

  async health(): Promise<StoreHealth> {
    const start = performance.now();
    try {
      this.#ownTables();
      const state = this.#read((tables) => readState(tables));
      const [size, free] = await Promise.all([stat(this.#file.path), statfs(path.dirname(this.#file.path))]);
      const fault = this.#queue.fault;
      const detail = [
        `embedded store ${this.#file.path}`,
        `${megabytes(size.size)} MB, ${megabytes(free.bavail * free.bsize)} MB free`,
        `commit ${state.commits}`,
        ...(fault === undefined ? [] : [`last write failed: ${fault}`]),
      ].join(", ");
      return { ok: fault === undefined, latencyMs: performance.now() - start, detail };
    } catch (error) {
      return { ok: false, latencyMs: performance.now() - start, detail: reasonOf(error) };
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#followers.close();
    // Queued behind every write that waits. If the lock cannot be released, it ends with this process.
    const release = () => releaseLock(this.#file.tables, this.#own);
    await this.#queue.run(this.#role === "gateway" ? release : () => undefined).catch(() => undefined);
    this.#file.leaveToOthers(this.#own);
    const closing = this.#file.close();
    // lmdb-js closes after its last transaction. Do not wait for one that may never end.
    if (this.#queue.isStalled) closing.catch(() => undefined);
    else await closing;
  }

  /**
   * Records that expire at or before this time are gone. It never falls: a deleted record does not come back if the
   * clock is set back.
   */
  #over(): number {
    return this.#clock.earliest?.() ?? this.#clock.now();
  }

  /**
   * As `latest`. Throws if this is not the store any more that others write to. Then the log cannot be followed either, so
   * the node stops serving on what it knows.
   */
  #ownTables(): Tables {
    this.#file.requireInPlace();
    const tables = this.#file.latest;
    this.#requireLock(tables);
    return tables;
  }

  /** A gateway that lost its lock (another process believed it dead) stops writing. */
  #requireLock(tables: Tables): void {
    const holder = this.#role === "gateway" ? readLock(tables) : this.#own;
    if (holder?.token !== this.#own.token)
      throw new Error(`process ${holder?.pid ?? "?"} has taken the store over`);
  }

  #read<T>(work: (tables: Tables) => T): T {
    this.#refuseClosed();
    try {
      return work(this.#file.latest);
    } catch (error) {
      const named = asDamageError(error, { reads: true });
      throw unavailable(`embedded store: cannot be read: ${reasonOf(named)}`, named);
    }
  }

  #refuseClosed(): void {
    if (this.#closed !== undefined) throw unavailable("embedded store: closed");
  }

  #sweep(): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    void (this.#queue.fault === undefined ? this.#sweepAll() : this.#tryToWrite())
      // Garbage that could not be removed now is removed by a later sweep.
      .catch(() => undefined)
      .finally(() => {
        this.#sweeping = false;
      });
  }

  /** Checks whether the disk takes writes again, so that health reports it before the next commit. */
  async #tryToWrite(): Promise<void> {
    await this.#queue.run(() => writeState(this.#file.tables, readState(this.#file.tables)));
  }

  async #sweepAll(): Promise<void> {
    while (this.#closed === undefined) {
      const over = this.#over();
      if (!hasGarbage(this.#file.latest, over, this.#bounds)) return;
      await this.#queue.run(() => sweep(this.#file.tables, over, this.#bounds));
    }
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}
