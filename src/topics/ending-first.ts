interface Entry<Item> {
  readonly item: Item;
  /** Of two that end together, the one that came first is first. */
  readonly order: number;
}

/**
 * Items in the order in which they end, as a binary heap: a change costs the logarithm of their number. What is deleted
 * stays in the heap until it is first, or until half of the heap is deleted.
 */
export class EndingFirst<Item extends { readonly endsAt: number }> {
  readonly #live = new Set<Item>();
  #heap: Entry<Item>[] = [];
  #orders = 0;

  get size(): number {
    return this.#live.size;
  }

  add(item: Item): void {
    this.#live.add(item);
    this.#heap.push({ item, order: this.#orders++ });
    this.#rise(this.#heap.length - 1);
  }

  delete(item: Item): void {
    if (!this.#live.delete(item) || this.#heap.length < 2 * this.#live.size + 64) return;
    // A sorted list is a heap.
    this.#heap = this.#heap.filter((entry) => this.#live.has(entry.item)).sort(compare);
  }

  first(): Item | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || this.#live.has(first.item)) return first?.item;
      const last = this.#heap.pop();
      if (last === undefined || this.#heap.length === 0) continue;
      this.#heap[0] = last;
      this.#sink();
    }
  }

  #rise(from: number): void {
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >>> 1;
      if (!this.#swap(parent, at)) return;
      at = parent;
    }
  }

  #sink(): void {
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const smaller = this.#isBefore(right, left) ? right : left;
      if (!this.#swap(at, smaller)) return;
      at = smaller;
    }
  }

  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one], this.#heap[other]];
    return a !== undefined && b !== undefined && compare(a, b) < 0;
  }

  /** Only if the lower one ends first. */
  #swap(upper: number, lower: number): boolean {
    const [a, b] = [this.#heap[upper], this.#heap[lower]];
    if (a === undefined || b === undefined || compare(a, b) < 0) return false;
    this.#heap[upper] = b;
    this.#heap[lower] = a;
    return true;
  }
}

function compare<Item extends { readonly endsAt: number }>(a: Entry<Item>, b: Entry<Item>): number {
  return a.item.endsAt - b.item.endsAt || a.order - b.order;
}
