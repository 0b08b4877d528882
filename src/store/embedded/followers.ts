import type { LogEntry, LogFollower } from "../../auth/store.ts";
import { unavailable } from "../unavailable.ts";

/** How often the log's head is looked at for entries of other processes: one small read for all followers. */
export const pollMs = 50;
/** A follower that was not in step for this long (a stalled process, a file that cannot be read) says so. */
export const overdueMs = 1_000;
const chunk = 256;

export interface LogSource {
  /** Reads the file as it is now, also what other processes wrote. */
  head(): number;
  read(after: number, limit: number): readonly LogEntry[];
  startOf(since: number): { readonly after: number; readonly since: number };
}

type Listener = (entries: readonly LogEntry[]) => void;

/** All followers of one open store; one timer, which runs only while somebody follows. */
export class Followers {
  readonly #source: LogSource;
  readonly #tails = new Set<Tail>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(source: LogSource) {
    this.#source = source;
  }

  follow(since: number, listener: Listener): LogFollower {
    const tail = new Tail(this.#source, since, listener);
    if (this.#closed) tail.stop();
    else this.#start(tail);
    return {
      caughtUp: tail.caughtUp,
      get following() {
        return tail.following;
      },
      stop: async () => this.#stop(tail),
    };
  }

  /** Delivers what is new: after an own commit, before its promise resolves, and at every poll. */
  pump(): void {
    for (const tail of this.#tails) tail.pump();
  }

  close(): void {
    this.#closed = true;
    for (const tail of [...this.#tails]) this.#stop(tail);
  }

  #start(tail: Tail): void {
    this.#tails.add(tail);
    this.#timer ??= setInterval(() => this.pump(), pollMs).unref();
    queueMicrotask(() => tail.pump());
  }

  #stop(tail: Tail): void {
    tail.stop();
    this.#tails.delete(tail);
    if (this.#tails.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

class Tail {
  readonly caughtUp: Promise<{ readonly since: number }>;
  readonly #source: LogSource;
  readonly #since: number;
  readonly #listener: Listener;
  #settle: { resolve: (reached: { since: number }) => void; reject: (error: Error) => void };
  /** Undefined until the first read told where the delivery starts. */
  #place: { after: number; readonly target: number; readonly since: number } | undefined;
  #inStepAt = Number.NEGATIVE_INFINITY;
  #delivering = false;
  #stopped = false;

  constructor(source: LogSource, since: number, listener: Listener) {
    this.#source = source;
    this.#since = since;
    this.#listener = listener;
    const { promise, resolve, reject } = withResolvers<{ since: number }>();
    this.caughtUp = promise;
    this.#settle = { resolve, reject };
    promise.catch(() => undefined);
  }

  get following(): boolean {
    return !this.#stopped && performance.now() - this.#inStepAt < overdueMs;
  }

  /** Never throws: what could not be read or was refused by the listener is tried again at the next poll. */
  pump(): void {
    if (this.#stopped || this.#delivering) return;
    this.#delivering = true;
    try {
      this.#deliver();
    } catch {
      // Not in step; `following` turns false when it stays so.
    } finally {
      this.#delivering = false;
    }
  }

  #deliver(): void {
    this.#place ??= { ...this.#source.startOf(this.#since), target: this.#source.head() };
    const place = this.#place;
    const head = this.#source.head();
    const entries = place.after < head ? this.#source.read(place.after, chunk) : [];
    const last = entries.at(-1);
    if (last !== undefined) {
      this.#listener(entries);
      place.after = Number(last.position);
    }
    if (place.after >= place.target) this.#settle.resolve({ since: place.since });
    // A long backlog goes out in pieces, so that the loop's other work comes in between.
    if (place.after < head) setImmediate(() => this.pump());
    else this.#inStepAt = performance.now();
  }

  stop(): void {
    this.#stopped = true;
    this.#settle.reject(unavailable("the follower was stopped"));
  }
}

function withResolvers<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
