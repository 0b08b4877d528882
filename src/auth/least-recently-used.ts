/** A map of at most `capacity` entries; what was not used for the longest time makes room. */
export class LeastRecentlyUsed<Key, Value> {
  readonly #capacity: number;
  readonly #onLeave: (key: Key, value: Value) => void;
  readonly #entries = new Map<Key, Value>();

  /** `onLeave` hears of every entry that was pushed out, deleted or replaced. */
  constructor(capacity: number, onLeave: (key: Key, value: Value) => void = () => undefined) {
    this.#capacity = capacity;
    this.#onLeave = onLeave;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Key): Value | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: Key, value: Value): void {
    this.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#capacity) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.delete(oldest.value);
  }

  delete(key: Key): void {
    const value = this.#entries.get(key);
    if (!this.#entries.delete(key) || value === undefined) return;
    this.#onLeave(key, value);
  }

  clear(): void {
    for (const key of [...this.#entries.keys()]) this.delete(key);
  }
}
