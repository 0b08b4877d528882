/**
 * A bounded fair queue. Every key has its own queue, and these are served round-robin, so a key with many items
 * delays each other key by one item. A key's share counts its waiting and its running items. When the whole queue is
 * full, an item of a key with a shorter queue evicts the newest item of the longest one, so keys with many items
 * cannot lock out the others.
 */
export class FairQueue<Item> {
  readonly #limits: { readonly total: number; readonly perKey: number };
  readonly #onEvicted: (item: Item) => void;
  readonly #queues = new Map<string, Item[]>();
  readonly #held = new Map<string, number>();
  #waiting = 0;

  /** `onEvicted` is called with each evicted item. */
  constructor(limits: { readonly total: number; readonly perKey: number }, onEvicted: (item: Item) => void) {
    this.#limits = limits;
    this.#onEvicted = onEvicted;
  }

  /** How many items wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** False if the queue or the key's share is full; the item is then not added. */
  offer(key: string, item: Item): boolean {
    const held = this.#held.get(key) ?? 0;
    if (held >= this.#limits.perKey) return false;
    if (this.#waiting >= this.#limits.total && !this.#makeRoom(held + 1)) return false;
    const queue = this.#queues.get(key);
    if (queue === undefined) this.#queues.set(key, [item]);
    else queue.push(item);
    this.#held.set(key, held + 1);
    this.#waiting += 1;
    return true;
  }

  /** Evicts the newest item of the longest queue, if that is longer than `length`. */
  #makeRoom(length: number): boolean {
    let longestQueue: { readonly key: string; readonly queue: Item[] } | undefined;
    for (const [key, queue] of this.#queues)
      if (queue.length > (longestQueue?.queue.length ?? length)) longestQueue = { key, queue };
    const item = longestQueue?.queue.pop();
    if (longestQueue === undefined || item === undefined) return false;
    this.#waiting -= 1;
    this.release(longestQueue.key);
    this.#onEvicted(item);
    return true;
  }

  /** The next item. It counts for its key's share until `release`. */
  take(): { readonly key: string; readonly item: Item } | undefined {
    for (const [key, queue] of this.#queues) {
      const item = queue.shift();
      this.#queues.delete(key);
      if (queue.length > 0) this.#queues.set(key, queue);
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
