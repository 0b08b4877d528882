/** Something with a number of its own. */
export interface Numbered {
  readonly number: number;
}

/** Members of one chunk. A removal moves at most so many. */
const chunkSize = 512;

/**
 * Members in the order of their numbers. To add, to remove and to find a place takes a binary search and one chunk, however
 * many there are.
 */
export class NumberedList<Member extends Numbered> {
  /** None is empty, and no two neighbours fit into half a chunk together, so there are never many more than needed. */
  #chunks: Member[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Its number is above those of all that were added before. */
  add(member: Member): void {
    const last = this.#chunks.at(-1);
    // Most lists have one member. An array that something is pushed onto makes room for 17.
    if (last === undefined) this.#chunks = [[member]];
    else if (last.length >= chunkSize) this.#chunks.push([member]);
    else last.push(member);
    this.#size += 1;
  }

  /** False if it is not here. */
  remove(member: Member): boolean {
    const { at, within } = this.#placeOf(({ number }) => number >= member.number);
    const chunk = this.#chunks[at];
    if (chunk?.[within] !== member) return false;
    chunk.splice(within, 1);
    this.#size -= 1;
    this.#joinAt(at);
    this.#joinAt(at - 1);
    return true;
  }

  /**
   * From the first for which `isPast` holds; it has to hold for all that follow one for which it holds. The list must not
   * change meanwhile.
   */
  *from(isPast: (member: Member) => boolean): Generator<Member, void> {
    const { at, within } = this.#placeOf(isPast);
    let skipped = within;
    for (let place = at; place < this.#chunks.length; place += 1) {
      const chunk = this.#chunks[place] ?? [];
      for (let index = skipped; index < chunk.length; index += 1) yield chunk[index] as Member;
      skipped = 0;
    }
  }

  /** A copy: members leave while it is walked. */
  all(): readonly Member[] {
    return this.#chunks.length === 1 ? [...(this.#chunks[0] ?? [])] : this.#chunks.flat();
  }

  /** The first for which `isPast` holds. Past the end if it holds for none. */
  #placeOf(isPast: (member: Member) => boolean): { readonly at: number; readonly within: number } {
    const at = firstIndex(this.#chunks.length, (index) => isPast(this.#chunks[index]?.at(-1) as Member));
    const chunk = this.#chunks[at] ?? [];
    return { at, within: firstIndex(chunk.length, (index) => isPast(chunk[index] as Member)) };
  }

  /** Removes this chunk if it is empty, and joins it with the next one if both are small. */
  #joinAt(at: number): void {
    const [chunk, next] = [this.#chunks[at], this.#chunks[at + 1]];
    if (chunk === undefined) return;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
    else if (next !== undefined && chunk.length + next.length <= chunkSize / 2) {
      chunk.push(...next);
      this.#chunks.splice(at + 1, 1);
    }
  }
}

/** The first index for which `holds`, which holds for all that follow one; `length` if it holds for none. */
function firstIndex(length: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
