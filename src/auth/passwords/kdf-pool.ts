import type { Worker } from "node:worker_threads";

import { AuthError } from "../errors.ts";
import { type KdfAnswer, type KdfJob, type KdfResult, postJob, startKdfThread } from "./kdf-thread.ts";
import type { QueuePlace } from "./passwords.ts";
import { ReservedQueue } from "./reserved-queue.ts";

export interface KdfPoolOptions {
  /** Number of threads. Each runs one job at a time. */
  readonly workers: number;
  /** How many jobs may wait; one more is refused. The reserved queue has the same capacity, see `QueuePlace`. */
  readonly queueLimit: number;
  /** How many jobs of one key may wait or run. */
  readonly queueLimitPerKey: number;
  readonly startThread?: (() => Worker) | undefined;
}

interface Pending {
  readonly job: KdfJob;
  readonly resolve: (result: KdfResult) => void;
  readonly reject: (error: AuthError) => void;
  readonly isGone: QueuePlace["isGone"];
}

/** A running job, with its promise and the queue share that it counts for. */
type Running = Pending & { readonly place: QueuePlace; readonly startedAt: number };

/**
 * A thread pool for the KDF alone, so that hashing blocks neither the event loop nor libuv's pool. Threads start on
 * demand and do not keep an idle process alive. Admission is decided before any work.
 */
export class KdfPool {
  readonly #options: KdfPoolOptions;
  readonly #queue: ReservedQueue<Pending>;
  readonly #idle: Worker[] = [];
  readonly #running = new Map<Worker, Running>();
  #closed = false;
  /** Moving average of a job's time, ms, for realistic retry times. */
  #averageMs = 350;
  #runs = 0;

  constructor(options: KdfPoolOptions) {
    this.#options = options;
    const limits = { total: options.queueLimit, perKey: options.queueLimitPerKey };
    this.#queue = new ReservedQueue(limits, (pending) => refuse(pending, this.#overloaded()));
  }

  /** How many jobs were given to a thread since the start. */
  get runs(): number {
    return this.#runs;
  }

  get waiting(): number {
    return this.#queue.waiting;
  }

  /**
   * Rejects with `overloaded` if the queue is full, or later if the job is evicted for a key with a smaller share.
   * Rejects with `unavailable` if the thread ends.
   */
  run(job: KdfJob, place: QueuePlace): Promise<KdfResult> {
    return new Promise((resolve, reject) => {
      const pending = { job, resolve, reject, isGone: place.isGone };
      if (this.#closed) refuse(pending, closed());
      else if (this.#queue.offer(place, pending)) this.#dispatchWaiting();
      else refuse(pending, this.#overloaded());
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (let next = this.#queue.take(); next; next = this.#queue.take()) refuse(next.item, closed());
    const threads = [...this.#idle, ...this.#running.keys()];
    this.#idle.length = 0;
    await Promise.all(threads.map((thread) => thread.terminate()));
  }

  #dispatchWaiting(): void {
    while (!this.#closed && this.#running.size < this.#options.workers) {
      const next = this.#queue.take();
      if (next === undefined) return;
      // Or whoever sends passwords and leaves would delay others as much as whoever stays.
      if (next.item.isGone?.() === true) this.#giveUp(next.place, next.item);
      else this.#dispatch(next.place, next.item);
    }
  }

  #giveUp(place: QueuePlace, pending: Pending): void {
    this.#queue.release(place);
    refuse(pending, this.#overloaded());
  }

  #dispatch(place: QueuePlace, pending: Pending): void {
    try {
      const thread = this.#idle.pop() ?? this.#start();
      this.#running.set(thread, { ...pending, place, startedAt: performance.now() });
      this.#runs += 1;
      thread.ref();
      postJob(thread, pending.job);
    } catch (cause) {
      this.#queue.release(place);
      refuse(pending, new AuthError("unavailable", { detail: "no password thread could be started", cause }));
    }
  }

  #start(): Worker {
    const thread = (this.#options.startThread ?? startKdfThread)();
    thread.on("message", (answer: KdfAnswer) => this.#finish(thread, answer));
    thread.on("error", () => this.#onThreadEnd(thread));
    thread.on("exit", () => this.#onThreadEnd(thread));
    return thread;
  }

  #finish(thread: Worker, answer: KdfAnswer): void {
    const job = this.#release(thread);
    if (job === undefined) return;
    this.#averageMs += (performance.now() - job.startedAt - this.#averageMs) / 8;
    thread.unref();
    this.#idle.push(thread);
    if ("failed" in answer)
      job.reject(new AuthError("unavailable", { detail: "a password could not be hashed" }));
    else job.resolve(answer);
    this.#dispatchWaiting();
  }

  /** The job of a thread that ended fails. The next job starts a new thread. */
  #onThreadEnd(thread: Worker): void {
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
    const job = this.#release(thread);
    job?.reject(new AuthError("unavailable", { detail: "a password thread ended" }));
    this.#dispatchWaiting();
  }

  #release(thread: Worker): Running | undefined {
    const job = this.#running.get(thread);
    if (job === undefined) return undefined;
    this.#running.delete(thread);
    this.#queue.release(job.place);
    return job;
  }

  #overloaded(): AuthError {
    const waitMs = ((this.#queue.waiting + 1) * this.#averageMs) / this.#options.workers;
    return new AuthError("overloaded", { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) });
  }
}

function refuse(pending: Pending, error: AuthError): void {
  pending.job.password.fill(0);
  pending.job.typed.fill(0);
  pending.reject(error);
}

function closed(): AuthError {
  return new AuthError("unavailable", { detail: "the password threads were closed" });
}
