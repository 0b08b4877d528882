/**
 * A map whose entries expire `ttlMs` after they were last set. Beyond `capacity` the oldest is evicted. Entries are
 * kept in the order in which they were set, so `expire` only looks at the oldest ones.
 */
export class ExpiringMap<Key, Value> {
  readonly #keptMs: number;
  readonly #capacity: number;
  readonly #entries = new Map<Key, { readonly value: Value; readonly setAt: number }>();
  /** When the newest of the evicted entries was set, ms. -Infinity if none was evicted. */
  evictedAt = Number.NEGATIVE_INFINITY;

  constructor(ttlMs: number, capacity: number) {
    this.#keptMs = ttlMs;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Key): Value | undefined {
    // Hot path: most of these maps are empty most of the time, and a key has to be hashed first.
    return this.#entries.size === 0 ? undefined : this.#entries.get(key)?.value;
  }

  set(key: Key, value: Value, now: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, setAt: now });
    if (this.#entries.size > this.#capacity) this.#evict();
  }

  expire(now: number): void {
    for (const [key, entry] of this.#entries) {
      if (entry.setAt + this.#keptMs > now) return;
      this.#entries.delete(key);
    }
  }

  *entries(): Iterable<readonly [Key, Value]> {
    for (const [key, { value }] of this.#entries) yield [key, value];
  }

  #evict(): void {
    for (const [key, { setAt }] of this.#entries) {
      this.#entries.delete(key);
      this.evictedAt = Math.max(this.evictedAt, setAt);
      return;
    }
  }
}
