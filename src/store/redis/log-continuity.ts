import type { LogBreak, LogPosition } from "../../auth/store.ts";
import { comparePositions, type StreamEntry, type StreamInfo, timeOf } from "./log-stream.ts";
import { PassedEntries } from "./passed-entries.ts";

/** Acknowledged entries that are waited for. Past it an own commit that cannot be told from a lost one counts as lost. */
const remembered = 20_000;

/** What a range of the log says: `gone` when the entry delivered last is not where it was. */
export type Finding =
  | { readonly kind: "fine"; readonly fresh: readonly StreamEntry[] }
  | { readonly kind: "lost" | "gone" };

interface Awaited {
  readonly content: string;
  readonly order: number;
}

/**
 * What one follower knows about its log: the entry that it delivered last, and the own commits that it has yet to pass.
 * With them it tells the log that it follows from another one that stands in its place.
 */
export class LogContinuity {
  readonly #since: number;
  #last: { readonly position: LogPosition; readonly content: string } | undefined;
  /** Where to go on when the entry delivered last was trimmed away. */
  #after: LogPosition | undefined;
  readonly #awaited = new Map<LogPosition, Awaited>();
  /** An acknowledgement may be read after the entry itself came by: then it is compared with these. */
  readonly #passed = new PassedEntries();
  #order = 0;
  #tooMany = false;
  /** How many entries the log has been given at least. */
  #added = 0;

  constructor(since: number) {
    this.#since = Math.max(0, Math.ceil(since));
  }

  /** XRANGE's start; the entry delivered last comes first, so that one atomic answer holds both it and what follows. */
  get rangeStart(): string {
    if (this.#last !== undefined) return this.#last.position;
    return this.#after === undefined ? String(this.#since) : `(${this.#after}`;
  }

  /** XREAD's start: wakes for what comes after it. */
  get readAfter(): string {
    return this.#last?.position ?? this.#after ?? `${Math.max(0, this.#since - 1)}-18446744073709551615`;
  }

  /** The moment of a question: what was acknowledged before it has to be in the answer. */
  get now(): number {
    return this.#order;
  }

  /** An own commit whose position Redis has told. */
  acknowledge(position: LogPosition, content: string): void {
    if (timeOf(position) < this.#since || this.#passed.has(position, content)) return;
    this.#order += 1;
    if (this.#awaited.size < remembered) this.#awaited.set(position, { content, order: this.#order });
    else this.#tooMany = true;
  }

  /** Looks at the entries from `rangeStart` on; `asked` is `now` at the question, `atEnd` that no more followed. */
  examine(found: readonly StreamEntry[], { asked, atEnd }: { asked: number; atEnd: boolean }): Finding {
    const last = this.#last;
    if (last !== undefined) {
      if (found[0]?.entry.position !== last.position) return { kind: "gone" };
      if (found[0].content !== last.content) return { kind: "lost" };
    }
    const fresh = last === undefined ? found : found.slice(1);
    const end = fresh.at(-1)?.entry.position ?? last?.position;
    const isDue = (position: LogPosition, order: number) =>
      (atEnd && order <= asked) || (end !== undefined && comparePositions(position, end) <= 0);
    return this.#tooMany || this.#misses(fresh, isDue) ? { kind: "lost" } : { kind: "fine", fresh };
  }

  #misses(fresh: readonly StreamEntry[], isDue: (position: LogPosition, order: number) => boolean): boolean {
    if (this.#awaited.size === 0) return false;
    const contents = new Map(fresh.map(({ entry, content }) => [entry.position, content]));
    return [...this.#awaited].some(
      ([position, { content, order }]) => isDue(position, order) && contents.get(position) !== content,
    );
  }

  /** These were delivered. */
  pass(entries: readonly StreamEntry[]): void {
    const now = performance.now();
    for (const { entry, content } of entries) {
      this.#awaited.delete(entry.position);
      this.#passed.add(entry.position, content, now);
      this.#last = { position: entry.position, content };
    }
    this.#added += entries.length;
  }

  /** The log's size as Redis gives it after all that was passed. */
  measure({ added }: StreamInfo): void {
    this.#added = added;
  }

  /**
   * Why the entry delivered last is gone. Trimmed only where nothing speaks against it: the log was trimmed, to behind
   * that entry, and it is not a younger log that took fewer entries than this follower has seen.
   */
  explain({ firstPosition, lastPosition, added, trimmed }: StreamInfo): LogBreak {
    const position = this.#last?.position;
    if (position === undefined) return "lost";
    const reachesBack = firstPosition !== undefined && comparePositions(firstPosition, position) <= 0;
    const isOlder = comparePositions(lastPosition, position) < 0 || added < this.#added;
    return reachesBack || isOlder || trimmed === 0 ? "lost" : "trimmed";
  }

  /** After `trimmed`: goes on with what is left. */
  skip({ firstPosition, lastPosition, added }: StreamInfo): void {
    this.#after = this.#last?.position ?? this.#after;
    this.#last = undefined;
    this.#added = added;
    for (const position of this.#awaited.keys()) {
      const left = firstPosition !== undefined && comparePositions(position, firstPosition) >= 0;
      if (!left && comparePositions(position, lastPosition) <= 0) this.#awaited.delete(position);
    }
  }

  /** After `lost`: begins again at `since`. */
  startOver(): void {
    this.#last = undefined;
    this.#after = undefined;
    this.#awaited.clear();
    this.#passed.clear();
    this.#tooMany = false;
    this.#added = 0;
  }
}
