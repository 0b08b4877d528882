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
}

export interface WriteQueueOptions {
  /** How long a commit may wait for its turn and the disk, ms. */
  readonly deadlineMs: number;
  /** Runs the callback in one write transaction and resolves once it is on disk. On a throw nothing is kept. */
  readonly transact: (batch: () => unknown[], options: { readonly revokes: boolean }) => Promise<unknown[]>;
  /** True if the disk has room only for revocations. Throws the disk's error. */
  readonly isNearlyFull: () => boolean;
  /** Called after a batch is durable and before its jobs are answered. */
  readonly onDurable: () => void;
  /** Called after a batch failed. Makes the file usable again if it can. */
  readonly recover: () => Promise<void>;
}

/**
 * Group commit: while one transaction is flushed, further steps gather and go into the next one together, in the order
 * of their calls. A job that is not durable in time is rejected; it may still be applied.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  #waiting: Job[] = [];
  #running: Promise<void> | undefined;
  #fault: string | undefined;
  #stalled = false;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /** The error of the last batch; undefined if it was written. */
  get fault(): string | undefined {
    return this.#stalled ? "the disk does not answer" : this.#fault;
  }

  /** True if the current transaction has exceeded its deadline. It may never end. */
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
      const job: Job = { apply, revokes, resolve: resolve as (result: unknown) => void, reject, timer };
      this.#waiting.push(job);
      this.#running ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // Calls of one turn share a transaction.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch();
      await this.#write(batch);
      this.#stalled = false;
    }
    this.#running = undefined;
  }

  /** In the order of the calls. If the disk is nearly full, revocations come first, in a batch of their own. */
  #nextBatch(): readonly Job[] {
    const revoking = this.#isNearlyFull() ? this.#waiting.filter(({ revokes }) => revokes) : [];
    if (revoking.length === 0) return this.#waiting.splice(0, bounds.batch);
    const batch = new Set(revoking.slice(0, bounds.revoking));
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
    try {
      const revokes = batch.every((job) => job.revokes);
      const results = await this.#options.transact(() => applyInTime(batch), { revokes });
      // While the disk is nearly full, a written revocation does not show that other writes work.
      if (!revokes || !this.#isNearlyFull()) this.#fault = undefined;
      this.#options.onDurable();
      this.#waiting.unshift(...batch.slice(results.length));
      for (const [index, job] of batch.slice(0, results.length).entries()) {
        clearTimeout(job.timer);
        job.resolve(results[index]);
      }
    } catch (error) {
      this.#fault = reasonOf(error);
      await this.#options.recover().catch(() => undefined);
      for (const job of batch) {
        clearTimeout(job.timer);
        const named = asDamageError(error, { reads: false });
        job.reject(unavailable(`embedded store: not written: ${reasonOf(named)}`, named));
      }
    }
  }

  #giveUp(job: Job): void {
    const at = this.#waiting.indexOf(job);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#stalled = true;
    job.reject(unavailable(`embedded store: not written within ${this.#options.deadlineMs} ms`));
  }
}

/** At least the first one; the others as long as their time lasts. */
function applyInTime(batch: readonly Job[]): unknown[] {
  const endsAt = performance.now() + bounds.applyingMs;
  const results: unknown[] = [];
  for (const job of batch) {
    if (results.length > 0 && performance.now() >= endsAt) break;
    results.push(job.apply());
  }
  return results;
}
