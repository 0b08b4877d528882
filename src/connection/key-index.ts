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
  readonly #keyOf: (seat: number) => string;
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

  constructor(keyOf: (seat: number) => string) {
    this.#keyOf = keyOf;
  }

  get keys(): number {
    return this.#keys;
  }

  /** The key of a seat stays the same until `remove`. */
  add(seat: number): void {
    this.#reach(seat);
    const key = this.#keyOf(seat);
    const hash = hashOf(key);
    const present = this.#first(key, hash);
    if (present === none) this.#lead(seat, hash);
    else this.#join(seat, present);
  }

  remove(seat: number): void {
    const [next = seat, previous = seat] = [this.#next[seat], this.#previous[seat]];
    this.#next[previous] = next;
    this.#previous[next] = previous;
    const ring = this.#ring[seat] ?? 0;
    this.#sizes[ring] = (this.#sizes[ring] ?? 1) - 1;
    if (next === seat) this.#freeRings.push(ring);
    if (this.#chain[seat] !== unchained) this.#replace(seat, next === seat ? none : next);
    if (next === seat) this.#keys -= 1;
  }

  /** How many seats have the key of this one, which was added. */
  sizeAt(seat: number): number {
    return this.#sizes[this.#ring[seat] ?? 0] ?? 0;
  }

  has(key: string): boolean {
    return this.#first(key, hashOf(key)) !== none;
  }

  /** Oldest first. */
  of(key: string): readonly number[] {
    const first = this.#first(key, hashOf(key));
    if (first === none) return [];
    const seats = [first];
    for (let seat = this.#next[first] ?? first; seat !== first; seat = this.#next[seat] ?? first)
      seats.push(seat);
    return seats;
  }

  #bucket(hash: number): number {
    return hash & (this.#heads.length - 1);
  }

  #first(key: string, hash: number): number {
    let seat = this.#heads[this.#bucket(hash)] ?? none;
    while (seat !== none && this.#keyOf(seat) !== key) seat = this.#chain[seat] ?? none;
    return seat;
  }

  #lead(seat: number, hash: number): void {
    if (this.#keys >= this.#heads.length) this.#widen();
    this.#next[seat] = seat;
    this.#previous[seat] = seat;
    this.#link(seat, hash);
    this.#keys += 1;
    const ring = this.#freeRings.pop() ?? this.#sizes.length;
    this.#ring[seat] = ring;
    this.#sizes[ring] = 1;
  }

  #join(seat: number, first: number): void {
    const last = this.#previous[first] ?? first;
    this.#chain[seat] = unchained;
    this.#next[seat] = first;
    this.#previous[seat] = last;
    this.#next[last] = seat;
    this.#previous[first] = seat;
    const ring = this.#ring[first] ?? 0;
    this.#ring[seat] = ring;
    this.#sizes[ring] = (this.#sizes[ring] ?? 0) + 1;
  }

  #link(seat: number, hash: number): void {
    const bucket = this.#bucket(hash);
    this.#chain[seat] = this.#heads[bucket] ?? none;
    this.#heads[bucket] = seat;
  }

  /** `heir` takes the place of `seat` in its chain; with `none` the chain closes. */
  #replace(seat: number, heir: number): void {
    const following = this.#chain[seat] ?? none;
    if (heir !== none) this.#chain[heir] = following;
    const to = heir === none ? following : heir;
    const bucket = this.#bucket(hashOf(this.#keyOf(seat)));
    let before = this.#heads[bucket] ?? none;
    if (before === seat) this.#heads[bucket] = to;
    else {
      while (this.#chain[before] !== seat) before = this.#chain[before] ?? none;
      this.#chain[before] = to;
    }
  }

  #widen(): void {
    const leaders: number[] = [];
    for (const head of this.#heads)
      for (let seat = head; seat !== none; seat = this.#chain[seat] ?? none) leaders.push(seat);
    this.#heads = new Int32Array(this.#heads.length * 2).fill(none);
    for (const seat of leaders) this.#link(seat, hashOf(this.#keyOf(seat)));
  }

  #reach(seat: number): void {
    const size = this.#next.length;
    if (seat < size) return;
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
