import type { HubMember } from "../connection/hub.ts";

/** Members of one chunk. A removal moves at most so many. */
const chunkSize = 512;

/**
 * A node's connections in the order of their numbers. To add, to remove and to find a place takes a binary search and one
 * chunk, however many there are.
 */
export class OrderedMembers {
  /** None is empty, and no two neighbours fit into half a chunk together, so there are never many more than needed. */
  readonly #chunks: HubMember[][] = [];

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Its number is above those of all that were added before. */
  add(member: HubMember): void {
    const last = this.#chunks.at(-1);
    if (last === undefined || last.length >= chunkSize) this.#chunks.push([member]);
    else last.push(member);
  }

  /** Does nothing if it is not here. */
  remove(member: HubMember): void {
    const { at, within } = this.#placeOf(({ number }) => number >= member.number);
    const chunk = this.#chunks[at];
    if (chunk?.[within] !== member) return;
    chunk.splice(within, 1);
    this.#joinAt(at);
    this.#joinAt(at - 1);
  }

  /** From the first for which `isPast` holds; it has to hold for all that follow one for which it holds. */
  *from(isPast: (member: HubMember) => boolean): Generator<HubMember, void> {
    const { at, within } = this.#placeOf(isPast);
    let skipped = within;
    for (let place = at; place < this.#chunks.length; place += 1) {
      const chunk = this.#chunks[place] ?? [];
      for (let index = skipped; index < chunk.length; index += 1) yield chunk[index] as HubMember;
      skipped = 0;
    }
  }

  /** The first for which `isPast` holds. Past the end if it holds for none. */
  #placeOf(isPast: (member: HubMember) => boolean): { readonly at: number; readonly within: number } {
    const at = firstIndex(this.#chunks.length, (index) => isPast(this.#chunks[index]?.at(-1) as HubMember));
    const chunk = this.#chunks[at] ?? [];
    return { at, within: firstIndex(chunk.length, (index) => isPast(chunk[index] as HubMember)) };
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
