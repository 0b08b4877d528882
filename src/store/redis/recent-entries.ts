import type { LogPosition } from "../../auth/store.ts";

/**
 * Entries are remembered for at least this time, and at most about twice as long, ms. A commit's deadline is far
 * shorter.
 */
const keptMs = 60_000;
/** This many are remembered whatever their age: the process may have been stopped before it read an acknowledgement. */
const minKept = 500;
/** At most twice this many are remembered. */
const maxInHalf = 10_000;

/** The entries of a log that were delivered recently, to compare with acknowledgements that are read after them. */
export class RecentEntries {
  #recent = new Map<LogPosition, string>();
  #earlier = new Map<LogPosition, string>();
  #began = Number.NEGATIVE_INFINITY;

  get size(): number {
    return this.#recent.size + this.#earlier.size;
  }

  /** `now` is from the monotonic clock, ms. */
  add(position: LogPosition, content: string, now: number): void {
    const isOver = now - this.#began >= keptMs && this.#recent.size >= minKept;
    if (isOver || this.#recent.size >= maxInHalf) {
      this.#earlier = this.#recent;
      this.#recent = new Map();
    }
    if (this.#recent.size === 0) this.#began = now;
    this.#recent.set(position, content);
  }

  has(position: LogPosition, content: string): boolean {
    return this.#recent.get(position) === content || this.#earlier.get(position) === content;
  }

  clear(): void {
    this.#recent.clear();
    this.#earlier.clear();
  }
}
