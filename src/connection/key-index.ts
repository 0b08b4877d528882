const none = -1;
/** In the place of the next in the chain: not in it. */
const unchained = -2;
const fewest = 64;

/**
 * Seats by a key of their members. Members of one key are in a ring, of which one is in its bucket's chain.
 *
 * Numbers instead of a `Map` of sets, for the reason that `Seats` gives.
 */
export class KeyIndex {
  readonly #keyOf: (slot: number) => string;
  #heads = new Int32Array(fewest).fill(none);
  /** By seat; of the chain only for whoever stands for its key. */
  #chain = new Int32Array(fewest).fill(none);
  #next = new Int32Array(fewest);
  #previous = new Int32Array(fewest);
  /** By seat: the number of its ring, whose size is in `#sizes`. So neither joining nor leaving walks the ring. */
  #ring = new Int32Array(fewest);
  readonly #sizes: number[] = [];
  readonly #freeRings: number[] = [];
  #keys = 0;

  constructor(keyOf: (slot: number) => string) {
    this.#keyOf = keyOf;
  }

  get keys(): number {
    return this.#keys;
  }

  /** The key of a seat stays the same until `remove`. */
  add(slot: number): void {
    this.#reach(slot);
    const key = this.#keyOf(slot);
    const hash = hashOf(key);
    const present = this.#first(key, hash);
    if (present === none) this.#lead(slot, hash);
    else this.#join(slot, present);
  }

  remove(slot: number): void {
    const [next = slot, previous = slot] = [this.#next[slot], this.#previous[slot]];
    this.#next[previous] = next;
    this.#previous[next] = previous;
    const ring = this.#ring[slot] ?? 0;
    this.#sizes[ring] = (this.#sizes[ring] ?? 1) - 1;
    if (next === slot) this.#freeRings.push(ring);
    if (this.#chain[slot] !== unchained) this.#replace(slot, next === slot ? none : next);
    if (next === slot) this.#keys -= 1;
  }

  /** How many seats have the key of this one, which was added. */
  sizeAt(slot: number): number {
    return this.#sizes[this.#ring[slot] ?? 0] ?? 0;
  }

  has(key: string): boolean {
    return this.#first(key, hashOf(key)) !== none;
  }

  /** Oldest first. */
  of(key: string): readonly number[] {
    const first = this.#first(key, hashOf(key));
    if (first === none) return [];
    const slots = [first];
    for (let slot = this.#next[first] ?? first; slot !== first; slot = this.#next[slot] ?? first)
      slots.push(slot);
    return slots;
  }

  #bucket(hash: number): number {
    return hash & (this.#heads.length - 1);
  }

  #first(key: string, hash: number): number {
    let slot = this.#heads[this.#bucket(hash)] ?? none;
    while (slot !== none && this.#keyOf(slot) !== key) slot = this.#chain[slot] ?? none;
    return slot;
  }

  #lead(slot: number, hash: number): void {
    if (this.#keys >= this.#heads.length) this.#widen();
    this.#next[slot] = slot;
    this.#previous[slot] = slot;
    this.#link(slot, hash);
    this.#keys += 1;
    const ring = this.#freeRings.pop() ?? this.#sizes.length;
    this.#ring[slot] = ring;
    this.#sizes[ring] = 1;
  }

  #join(slot: number, first: number): void {
    const last = this.#previous[first] ?? first;
    this.#chain[slot] = unchained;
    this.#next[slot] = first;
    this.#previous[slot] = last;
    this.#next[last] = slot;
    this.#previous[first] = slot;
    const ring = this.#ring[first] ?? 0;
    this.#ring[slot] = ring;
    this.#sizes[ring] = (this.#sizes[ring] ?? 0) + 1;
  }

  #link(slot: number, hash: number): void {
    const bucket = this.#bucket(hash);
    this.#chain[slot] = this.#heads[bucket] ?? none;
    this.#heads[bucket] = slot;
  }

  /** `heir` takes the place of `seat` in its chain; with `none` the chain closes. */
  #replace(slot: number, heir: number): void {
    const following = this.#chain[slot] ?? none;
    if (heir !== none) this.#chain[heir] = following;
    const to = heir === none ? following : heir;
    const bucket = this.#bucket(hashOf(this.#keyOf(slot)));
    let before = this.#heads[bucket] ?? none;
    if (before === slot) this.#heads[bucket] = to;
    else {
      while (this.#chain[before] !== slot) before = this.#chain[before] ?? none;
      this.#chain[before] = to;
    }
  }

  #widen(): void {
    const leaders: number[] = [];
    for (const head of this.#heads)
      for (let slot = head; slot !== none; slot = this.#chain[slot] ?? none) leaders.push(slot);
    this.#heads = new Int32Array(this.#heads.length * 2).fill(none);
    for (const slot of leaders) this.#link(slot, hashOf(this.#keyOf(slot)));
  }

  #reach(slot: number): void {
    const size = this.#next.length;
    if (slot < size) return;
    const longer = (array: Int32Array) => {
      const copy = new Int32Array(size * 2);
      copy.set(array);
      return copy;
    };
    this.#chain = longer(this.#chain);
    this.#next = longer(this.#next);
    this.#previous = longer(this.#previous);
    this.#ring = longer(this.#ring);
  }
}

/** Of ids from a CSPRNG, and of short ones that are not; nobody outside chooses them. */
function hashOf(key: string): number {
  let hash = key.length;
  const from = Math.max(0, key.length - 8);
  for (let at = from; at < key.length; at += 1) hash = (Math.imul(hash, 31) + key.charCodeAt(at)) | 0;
  return hash ^ (hash >>> 15);
}
