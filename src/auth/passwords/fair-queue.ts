/**
 * A bounded queue in which every key waits in its own line and the lines are served in turn, so that one key with many
 * jobs delays the others by one job each. A key's share counts what waits and what runs. When the queue is full, who
 * waits for less takes the place of the newest item in the longest line, so that keys with many jobs shut nobody out.
 */
export class FairQueue<Item> {
  readonly #limits: { readonly total: number; readonly perKey: number };
  readonly #displaced: (item: Item) => void;
  readonly #lines = new Map<string, Item[]>();
  readonly #held = new Map<string, number>();
  #waiting = 0;

  /** `displaced` gets each item that lost its place. */
  constructor(limits: { readonly total: number; readonly perKey: number }, displaced: (item: Item) => void) {
    this.#limits = limits;
    this.#displaced = displaced;
  }

  /** Items that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** False, and nothing is kept, when the queue or the key's share is full. */
  offer(key: string, item: Item): boolean {
    const held = this.#held.get(key) ?? 0;
    if (held >= this.#limits.perKey) return false;
    if (this.#waiting >= this.#limits.total && !this.#makeRoom(held + 1)) return false;
    const line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, [item]);
    else line.push(item);
    this.#held.set(key, held + 1);
    this.#waiting += 1;
    return true;
  }

  /** Takes the newest item out of the longest line, if that is longer than `length`. */
  #makeRoom(length: number): boolean {
    let longest: { readonly key: string; readonly line: Item[] } | undefined;
    for (const [key, line] of this.#lines)
      if (line.length > (longest?.line.length ?? length)) longest = { key, line };
    const item = longest?.line.pop();
    if (longest === undefined || item === undefined) return false;
    this.#waiting -= 1;
    this.release(longest.key);
    this.#displaced(item);
    return true;
  }

  /** The next item; its key's share stays taken until `release`. */
  take(): { readonly key: string; readonly item: Item } | undefined {
    for (const [key, line] of this.#lines) {
      const item = line.shift();
      this.#lines.delete(key);
      if (line.length > 0) this.#lines.set(key, line);
      if (item === undefined) continue;
      this.#waiting -= 1;
      return { key, item };
    }
    return undefined;
  }

  release(key: string): void {
    const held = (this.#held.get(key) ?? 0) - 1;
    if (held > 0) this.#held.set(key, held);
    else this.#held.delete(key);
  }
}
