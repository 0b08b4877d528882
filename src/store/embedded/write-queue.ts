import { reasonOf, unavailable } from "../unavailable.ts";
import { asDamageError } from "./damage.ts";

/**
 * How many commits may wait, how many go into one transaction and how many do if the disk is nearly full, and the ms of
 * the event loop after which a transaction takes no further one.
 */
const bounds = { waiting: 10_000, batch: 500, revoking: 16, applyingMs: 8 } as const;

interface Job {
  /** The job takes rights away. */
  readonly revokes: boolean;
  readonly apply: () => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  /** It was rejected for its deadline. */
  isOver: boolean;
}

export interface WriteQueueOptions {
  /** How long a commit may wait for its turn and the disk, ms. */
  readonly deadlineMs: number;
  /** Runs the callback in one write transaction and resolves once it is on disk. On a throw nothing is kept. */
  readonly transact: (batch: () => unknown[], options: { readonly revokes: boolean }) => Promise<unknown[]>;
  /** True if the disk has room only for revocations. Throws the disk's error. */
  readonly isNearlyFull: () => boolean;
  /** Called after a batch is durable and before its jobs are answered. Does not throw. */
  readonly onDurable: () => void;
  /** Called after a batch failed. Makes the file usable again if it can. */
  readonly recover: () => Promise<void>;
}

/**
 * Group commit: while one transaction is flushed, further steps gather and go into the next one together. Those that
 * take rights away go before those that do not; otherwise the order is that of the calls. A job that is not durable in
 * time is rejected. It is written nevertheless if it was applied by then, and the transaction ends well.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  #waiting: Job[] = [];
  #running: Promise<void> | undefined;
  #fault: string | undefined;
  #stalled = false;
  /** When the running transaction began. */
  #beganAt = 0;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /** The error of the last batch; undefined if it was written. */
  get fault(): string | undefined {
    return this.#stalled ? "the disk does not answer" : this.#fault;
  }

  /** True if a commit was too late for the current transaction's sake. It may never end. */
  get isStalled(): boolean {
    return this.#stalled;
  }

  run<T>(apply: () => T, { revokes = false } = {}): Promise<T> {
    if (this.#stalled) return Promise.reject(unavailable("embedded store: the disk does not answer"));
    if (this.#waiting.length >= bounds.waiting) {
      return Promise.reject(unavailable("embedded store: too many commits wait"));
    }
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => this.#giveUp(job), this.#options.deadlineMs);
      const answers = { resolve: resolve as (result: unknown) => void, reject };
      const job: Job = { apply, revokes, ...answers, timer, isOver: false };
      this.#waiting.push(job);
      this.#running ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // Calls of one turn share a transaction.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch();
      this.#beganAt = performance.now();
      await this.#write(batch);
    }
    this.#running = undefined;
  }

  /** The oldest first, so that each has its turn, then revocations. If the disk is nearly full, a few revocations alone. */
  #nextBatch(): readonly Job[] {
    const revoking = this.#waiting.filter(({ revokes }) => revokes);
    const isAlone = revoking.length > 0 && this.#isNearlyFull();
    const next = isAlone
      ? revoking.slice(0, bounds.revoking)
      : [...this.#waiting.slice(0, 1), ...revoking, ...this.#waiting];
    const batch = new Set<Job>();
    for (const job of next) if (batch.size < bounds.batch) batch.add(job);
    this.#waiting = this.#waiting.filter((job) => !batch.has(job));
    return [...batch];
  }

  #isNearlyFull(): boolean {
    try {
      return this.#options.isNearlyFull();
    } catch {
      // The write reports the error.
      return false;
    }
  }

  async #write(batch: readonly Job[]): Promise<void> {
    const revokes = batch.every((job) => job.revokes);
    let results: readonly unknown[];
    try {
      results = await this.#options.transact(() => applyInTime(batch), { revokes });
    } catch (error) {
      await this.#refuse(batch, error);
      return;
    }
    this.#stalled = false;
    // While the disk is nearly full, a written revocation does not show that other writes work.
    if (!revokes || !this.#isNearlyFull()) this.#fault = undefined;
    this.#waiting.unshift(...batch.slice(results.length).filter((job) => !job.isOver));
    this.#options.onDurable();
    for (const [index, job] of batch.slice(0, results.length).entries()) {
      clearTimeout(job.timer);
      job.resolve(results[index]);
    }
  }

  async #refuse(batch: readonly Job[], error: unknown): Promise<void> {
    this.#fault = reasonOf(error);
    await this.#options.recover().catch(() => undefined);
    this.#stalled = false;
    for (const job of batch) {
      clearTimeout(job.timer);
      const named = asDamageError(error, { reads: false });
      job.reject(unavailable(`embedded store: not written: ${reasonOf(named)}`, named));
    }
  }

  #giveUp(job: Job): void {
    job.isOver = true;
    const at = this.#waiting.indexOf(job);
    if (at >= 0) this.#waiting.splice(at, 1);
    // Not if it was the backlog that took the time: its transactions end.
    if (performance.now() - this.#beganAt >= this.#options.deadlineMs / 2) this.#stalled = true;
    job.reject(unavailable(`embedded store: not written within ${this.#options.deadlineMs} ms`));
  }
}

/** At least the first one; the others as long as their time lasts. Those that were rejected meanwhile are left out. */
function applyInTime(batch: readonly Job[]): unknown[] {
  const endsAt = performance.now() + bounds.applyingMs;
  const results: unknown[] = [];
  for (const job of batch) {
    if (results.length > 0 && performance.now() >= endsAt) break;
    results.push(job.isOver ? undefined : job.apply());
  }
  return results;
}
