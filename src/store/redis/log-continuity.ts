import type { LogBreak, LogPosition } from "../../auth/store.ts";
import { comparePositions, type StreamEntry, type StreamInfo, timeOf } from "./log-stream.ts";
import { RecentEntries } from "./recent-entries.ts";

/**
 * Acknowledged entries that the follower still expects. Above this number an own commit counts as lost, because its
 * loss could not be noticed.
 */
const remembered = 20_000;

/** What a range of the log shows. `gone`: the entry delivered last is not at its position. */
export type Finding =
  | { readonly kind: "continuous"; readonly newEntries: readonly StreamEntry[] }
  | { readonly kind: "lost" | "gone" };

interface Awaited {
  readonly content: string;
  readonly order: number;
}

/**
 * What one follower knows about its log: the entry that it delivered last, and the own commits that it still expects.
 * With these it detects if another log has taken the place of the one that it follows.
 */
export class LogContinuity {
  readonly #since: number;
  #last: { readonly position: LogPosition; readonly content: string } | undefined;
  /** Where to continue if the entry delivered last was trimmed. */
  #after: LogPosition | undefined;
  readonly #awaited = new Map<LogPosition, Awaited>();
  /** An acknowledgement may be read after the entry itself was delivered: then it is compared with these. */
  readonly #passed = new RecentEntries();
  #order = 0;
  #tooMany = false;
  /** A lower bound of how many entries the log has taken. */
  #added = 0;

  constructor(since: number) {
    this.#since = Math.max(0, Math.ceil(since));
  }

  /** XRANGE's start. The entry delivered last comes first, so one atomic answer holds it and what follows. */
  get rangeStart(): string {
    if (this.#last !== undefined) return this.#last.position;
    return this.#after === undefined ? String(this.#since) : `(${this.#after}`;
  }

  /** XREAD's start: it wakes for entries after this one. */
  get readAfter(): string {
    return this.#last?.position ?? this.#after ?? `${Math.max(0, this.#since - 1)}-18446744073709551615`;
  }

  /** The moment of a read: what was acknowledged before it must be in the answer. */
  get now(): number {
    return this.#order;
  }

  /** Records an own commit whose position Redis has returned. */
  acknowledge(position: LogPosition, content: string): void {
    if (timeOf(position) < this.#since || this.#passed.has(position, content)) return;
    this.#order += 1;
    if (this.#awaited.size < remembered) this.#awaited.set(position, { content, order: this.#order });
    else this.#tooMany = true;
  }

  /** Examines the entries from `rangeStart` on. `asked` is `now` at the read. `atEnd`: no entries follow. */
  examine(found: readonly StreamEntry[], { asked, atEnd }: { asked: number; atEnd: boolean }): Finding {
    const last = this.#last;
    if (last !== undefined) {
      if (found[0]?.entry.position !== last.position) return { kind: "gone" };
      if (found[0].content !== last.content) return { kind: "lost" };
    }
    const newEntries = last === undefined ? found : found.slice(1);
    const end = newEntries.at(-1)?.entry.position ?? last?.position;
    const isDue = (position: LogPosition, order: number) =>
      (atEnd && order <= asked) || (end !== undefined && comparePositions(position, end) <= 0);
    return this.#tooMany || this.#misses(newEntries, isDue)
      ? { kind: "lost" }
      : { kind: "continuous", newEntries };
  }

  #misses(
    newEntries: readonly StreamEntry[],
    isDue: (position: LogPosition, order: number) => boolean,
  ): boolean {
    if (this.#awaited.size === 0) return false;
    const contents = new Map(newEntries.map(({ entry, content }) => [entry.position, content]));
    return [...this.#awaited].some(
      ([position, { content, order }]) => isDue(position, order) && contents.get(position) !== content,
    );
  }

  /** Records that these were delivered. */
  markDelivered(entries: readonly StreamEntry[]): void {
    const now = performance.now();
    for (const { entry, content } of entries) {
      this.#awaited.delete(entry.position);
      this.#passed.add(entry.position, content, now);
      this.#last = { position: entry.position, content };
    }
    this.#added += entries.length;
  }

  /** The log's size as Redis reports it after all delivered entries. */
  recordSize({ added }: StreamInfo): void {
    this.#added = added;
  }

  /**
   * Why the entry delivered last is gone. The result is `trimmed` only if nothing contradicts it: the log was trimmed
   * past that entry, and it is not a newer log that took fewer entries than this follower has seen.
   */
  explainBreak({ firstPosition, lastPosition, added, trimmed }: StreamInfo): LogBreak {
    const position = this.#last?.position;
    if (position === undefined) return "lost";
    const reachesBack = firstPosition !== undefined && comparePositions(firstPosition, position) <= 0;
    const isOlder = comparePositions(lastPosition, position) < 0 || added < this.#added;
    return reachesBack || isOlder || trimmed === 0 ? "lost" : "trimmed";
  }

  /** After `trimmed`: continues with what is left. */
  skip({ firstPosition, lastPosition, added }: StreamInfo): void {
    this.#after = this.#last?.position ?? this.#after;
    this.#last = undefined;
    this.#added = added;
    for (const position of this.#awaited.keys()) {
      const left = firstPosition !== undefined && comparePositions(position, firstPosition) >= 0;
      if (!left && comparePositions(position, lastPosition) <= 0) this.#awaited.delete(position);
    }
  }

  /** After `lost`: starts again at `since`. */
  startOver(): void {
    this.#last = undefined;
    this.#after = undefined;
    this.#awaited.clear();
    this.#passed.clear();
    this.#tooMany = false;
    this.#added = 0;
  }
}
