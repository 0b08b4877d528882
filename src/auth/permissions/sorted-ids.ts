/** More changes than this are sorted together, at the next page. */
const mostSingle = 64;

/** Ids in the order of their UTF-16 units. A page is found without a look at the others. */
export class SortedIds {
  #sorted: string[] = [];
  readonly #added = new Set<string>();
  readonly #deleted = new Set<string>();

  /** It must not be there. */
  add(id: string): void {
    if (!this.#deleted.delete(id)) this.#added.add(id);
  }

  /** It must be there. */
  delete(id: string): void {
    if (!this.#added.delete(id)) this.#deleted.add(id);
  }

  /** The first ones after `after`; undefined: from the start. */
  page(after: string | undefined, limit: number): readonly string[] {
    this.#settle();
    const place = after === undefined ? 0 : this.#placeOf(after);
    const from = after !== undefined && this.#sorted[place] === after ? place + 1 : place;
    return this.#sorted.slice(from, from + limit);
  }

  #settle(): void {
    if (this.#added.size + this.#deleted.size > mostSingle) {
      const left = this.#sorted.filter((id) => !this.#deleted.has(id));
      this.#sorted = [...left, ...this.#added].sort((a, b) => (a < b ? -1 : 1));
    } else {
      for (const id of this.#deleted) this.#sorted.splice(this.#placeOf(id), 1);
      for (const id of this.#added) this.#sorted.splice(this.#placeOf(id), 0, id);
    }
    this.#added.clear();
    this.#deleted.clear();
  }

  /** Where it is, or would be. */
  #placeOf(id: string): number {
    let [from, to] = [0, this.#sorted.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#sorted[middle] ?? "") < id) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
