/** Whoever can be in an index; nobody else touches it. */
export interface Slotted {
  slot: number;
}

/** The slot of who has none. */
export const noSlot = -1;

/** Members under numbers that stay theirs until they leave, so that indexes can be arrays of numbers. */
export class Slots<Member extends Slotted> {
  readonly #members: (Member | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#members.length - this.#free.length;
  }

  has(member: Member): boolean {
    return this.#members[member.slot] === member;
  }

  /** False when it has one already. */
  add(member: Member): boolean {
    if (this.has(member)) return false;
    member.slot = this.#free.pop() ?? this.#members.length;
    this.#members[member.slot] = member;
    return true;
  }

  /** False when it has none. */
  delete(member: Member): boolean {
    if (!this.has(member)) return false;
    const { slot } = member;
    this.#members[slot] = undefined;
    this.#free.push(slot);
    member.slot = noSlot;
    return true;
  }

  at(slot: number): Member {
    const member = this.#members[slot];
    if (member === undefined) throw new RangeError("nobody has this slot");
    return member;
  }

  all(): readonly Member[] {
    return this.#members.filter((member) => member !== undefined);
  }
}

const none = -1;
const fewest = 64;

/**
 * Slots by a key of their members. Members of one key are in a ring, of which one is in its bucket's chain.
 *
 * Numbers instead of a `Map` of sets: V8 chains the tables that a Map or Set has outgrown, so that sockets which come and
 * go without end were kept by tables that were dead (see `Seats`). Measured with 32 sockets at a time: of what a scavenge
 * looked at 15 to 20 % lived on, and now 0.4 %.
 */
export class KeyIndex {
  readonly #keyOf: (slot: number) => string;
  #heads = new Int32Array(fewest).fill(none);
  /** By slot; of the chain only for whoever stands for its key. */
  #chain = new Int32Array(fewest).fill(none);
  #next = new Int32Array(fewest);
  #previous = new Int32Array(fewest);
  #keys = 0;

  constructor(keyOf: (slot: number) => string) {
    this.#keyOf = keyOf;
  }

  get keys(): number {
    return this.#keys;
  }

  /** The key of a slot stays the same until `remove`. */
  add(slot: number): void {
    this.#reach(slot);
    const key = this.#keyOf(slot);
    const present = this.#first(key);
    if (present === none) this.#lead(slot, key);
    else this.#join(slot, present);
  }

  remove(slot: number): void {
    const key = this.#keyOf(slot);
    const [next = slot, previous = slot] = [this.#next[slot], this.#previous[slot]];
    this.#next[previous] = next;
    this.#previous[next] = previous;
    if (this.#first(key) === slot) this.#replace(slot, next === slot ? none : next, key);
    if (next === slot) this.#keys -= 1;
  }

  has(key: string): boolean {
    return this.#first(key) !== none;
  }

  /** Oldest first. */
  of(key: string): readonly number[] {
    const first = this.#first(key);
    if (first === none) return [];
    const slots = [first];
    for (let slot = this.#next[first] ?? first; slot !== first; slot = this.#next[slot] ?? first)
      slots.push(slot);
    return slots;
  }

  #bucket(key: string): number {
    return hashOf(key) & (this.#heads.length - 1);
  }

  #first(key: string): number {
    let slot = this.#heads[this.#bucket(key)] ?? none;
    while (slot !== none && this.#keyOf(slot) !== key) slot = this.#chain[slot] ?? none;
    return slot;
  }

  #lead(slot: number, key: string): void {
    if (this.#keys >= this.#heads.length) this.#widen();
    this.#next[slot] = slot;
    this.#previous[slot] = slot;
    this.#link(slot, key);
    this.#keys += 1;
  }

  #join(slot: number, first: number): void {
    const last = this.#previous[first] ?? first;
    this.#next[slot] = first;
    this.#previous[slot] = last;
    this.#next[last] = slot;
    this.#previous[first] = slot;
  }

  #link(slot: number, key: string): void {
    const bucket = this.#bucket(key);
    this.#chain[slot] = this.#heads[bucket] ?? none;
    this.#heads[bucket] = slot;
  }

  /** `heir` takes the place of `slot` in its chain; with `none` the chain closes. */
  #replace(slot: number, heir: number, key: string): void {
    const following = this.#chain[slot] ?? none;
    if (heir !== none) this.#chain[heir] = following;
    const to = heir === none ? following : heir;
    const bucket = this.#bucket(key);
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
    for (const slot of leaders) this.#link(slot, this.#keyOf(slot));
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
  }
}

/** Of ids from a CSPRNG, and of short ones that are not; nobody outside chooses them. */
function hashOf(key: string): number {
  let hash = key.length;
  const from = Math.max(0, key.length - 8);
  for (let at = from; at < key.length; at += 1) hash = (Math.imul(hash, 31) + key.charCodeAt(at)) | 0;
  return hash ^ (hash >>> 15);
}
