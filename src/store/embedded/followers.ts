import type { LogBreak, LogEntry, LogFollower } from "../../auth/store.ts";
import { unavailable } from "../unavailable.ts";
import { DamageError } from "./damage.ts";

/**
 * How often the log's head is read without any file event: one small read for all followers. A read costs some 0.3 ms
 * of CPU in a process that slept, so an idle process reads rarely.
 */
export const pollMs = 250;
/** Delay after a write of another process, ms. A transaction writes several times. */
const afterWriteMs = 5;
/** A follower that has not caught up for this long says so (a stalled process, a file that cannot be read). */
export const laggingAfterMs = 1_000;
const chunk = 256;

export interface LogSource {
  /** The newest sequence number. Reads the file as it is now, with other processes' writes. */
  head(): number;
  read(after: number, limit: number): readonly LogEntry[];
  /** Sequence number of the oldest entry that is left; one past the head if there is none. */
  oldest(): number;
  /** The whole entry as text; undefined if it was trimmed or never existed. */
  textAt(sequence: number): string | undefined;
  startOf(since: number): { readonly after: number; readonly since: number };
  /** Calls `onWrite` after any process writes to the file, if the system reports it. Returns the undo. */
  watch(onWrite: () => void): () => void;
}

export interface Listener {
  readonly since: number;
  readonly onEntries: (entries: readonly LogEntry[]) => void;
  readonly onBreak: (kind: LogBreak) => void;
}

/** All followers of one open store. They share one watch and one timer, which run only while somebody follows. */
export class Followers {
  readonly #source: LogSource;
  readonly #tails = new Set<Tail>();
  #timer: NodeJS.Timeout | undefined;
  #unwatch: (() => void) | undefined;
  #writeTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(source: LogSource) {
    this.#source = source;
  }

  follow(listener: Listener): LogFollower {
    const tail = new Tail(this.#source, listener);
    if (this.#closed) tail.stop();
    else this.#start(tail);
    return {
      caughtUp: tail.caughtUp,
      get following() {
        return tail.following;
      },
      // While the file is open it stays the same file.
      followGeneration: 0,
      readAgeMs: () => tail.readAgeMs(),
      restart: () => undefined,
      stop: async () => this.#stop(tail),
    };
  }

  /** Delivers new entries: after an own commit, before its promise resolves, and at every poll. */
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
    this.#unwatch ??= this.#source.watch(() => this.#written());
    queueMicrotask(() => tail.pump());
  }

  #stop(tail: Tail): void {
    tail.stop();
    this.#tails.delete(tail);
    if (this.#tails.size > 0) return;
    clearInterval(this.#timer);
    clearTimeout(this.#writeTimer);
    this.#unwatch?.();
    this.#timer = undefined;
    this.#writeTimer = undefined;
    this.#unwatch = undefined;
  }

  #written(): void {
    this.#writeTimer ??= setTimeout(() => {
      this.#writeTimer = undefined;
      this.pump();
    }, afterWriteMs).unref();
  }
}

interface DeliveryPosition {
  after: number;
  readonly target: number;
  readonly since: number;
}

class Tail {
  readonly caughtUp: Promise<{ readonly since: number }>;
  readonly #source: LogSource;
  readonly #listener: Listener;
  #settle: { resolve: (reached: { since: number }) => void; reject: (error: Error) => void };
  /** Undefined until the first read showed where the delivery starts. */
  #position: DeliveryPosition | undefined;
  /** The entry delivered last. */
  #last: { readonly sequence: number; readonly text: string } | undefined;
  /** The highest head that was read. */
  #highestHead = 0;
  #caughtUpAt = Number.NEGATIVE_INFINITY;
  #delivering = false;
  #stopped = false;

  constructor(source: LogSource, listener: Listener) {
    this.#source = source;
    this.#listener = listener;
    const { promise, resolve, reject } = withResolvers<{ since: number }>();
    this.caughtUp = promise;
    this.#settle = { resolve, reject };
    promise.catch(() => undefined);
  }

  get following(): boolean {
    return !this.#stopped && this.readAgeMs() < laggingAfterMs;
  }

  readAgeMs(): number {
    return performance.now() - this.#caughtUpAt;
  }

  /** Never throws. An entry that could not be read, or that the listener refused, is tried again at the next poll. */
  pump(): void {
    if (this.#stopped || this.#delivering) return;
    this.#delivering = true;
    try {
      this.#deliver();
    } catch (error) {
      // Not caught up; `following` turns false if this lasts. The first delivery fails at once on damage, because
      // waiting does not repair a file.
      if (error instanceof DamageError)
        this.#settle.reject(unavailable(`embedded store: ${error.message}`, error));
    } finally {
      this.#delivering = false;
    }
  }

  #deliver(): void {
    const began = performance.now();
    const head = this.#source.head();
    if (this.#isAnotherFile(head)) this.#startOver();
    this.#highestHead = head;
    this.#position ??= { ...this.#source.startOf(this.#listener.since), target: head };
    const position = this.#position;
    if (position.after < head) this.#deliverAfter(position, head);
    if (position.after >= position.target) this.#settle.resolve({ since: position.since });
    // A long backlog goes out in chunks, so that the event loop's other work comes in between.
    if (position.after < head) setImmediate(() => this.pump());
    else this.#caughtUpAt = began;
  }

  /**
   * Within one file sequence numbers never fall and entries never change. If they did, a copy was put in the file's
   * place.
   */
  #isAnotherFile(head: number): boolean {
    if (head < this.#highestHead) return true;
    if (this.#last === undefined) return false;
    const text = this.#source.textAt(this.#last.sequence);
    return text === undefined ? this.#source.oldest() <= this.#last.sequence : text !== this.#last.text;
  }

  #startOver(): void {
    this.#listener.onBreak("lost");
    this.#caughtUpAt = Number.NEGATIVE_INFINITY;
    this.#position = undefined;
    this.#last = undefined;
  }

  #deliverAfter(position: DeliveryPosition, head: number): void {
    const entries = this.#source.read(position.after, chunk);
    const first = Number(entries[0]?.position ?? head + 1);
    // Sequence numbers have no gaps.
    if (first !== position.after + 1) {
      this.#listener.onBreak("trimmed");
      position.after = first - 1;
      this.#last = undefined;
    }
    if (entries.length > 0) this.#listener.onEntries(entries);
    position.after = Number(entries.at(-1)?.position ?? head);
    const text = this.#source.textAt(position.after);
    this.#last = text === undefined ? undefined : { sequence: position.after, text };
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
