/**
 * A bounded queue in which every key waits in its own line and the lines are served in turn, so that one key with many
 * jobs delays the others by one job each. A key's share counts what waits and what runs.
 */
export class FairQueue<Item> {
  readonly #limits: { readonly total: number; readonly perKey: number };
  readonly #lines = new Map<string, Item[]>();
  readonly #held = new Map<string, number>();
  #waiting = 0;

  constructor(limits: { readonly total: number; readonly perKey: number }) {
    this.#limits = limits;
  }

  /** Items that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** False, and nothing is kept, when the queue or the key's share is full. */
  offer(key: string, item: Item): boolean {
    const held = this.#held.get(key) ?? 0;
    if (this.#waiting >= this.#limits.total || held >= this.#limits.perKey) return false;
    const line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, [item]);
    else line.push(item);
    this.#held.set(key, held + 1);
    this.#waiting += 1;
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
