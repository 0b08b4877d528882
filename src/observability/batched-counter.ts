import type { Counter, Histogram } from "prom-client";

/** Numbers that are counted here and handed on when somebody reads them. */
export interface Pending {
  flush(): void;
}

/**
 * One child of a counter, for what happens on every socket: adding is one addition, where prom-client builds the
 * labels' key, looks it up and checks them each time.
 */
export class BatchedCounter implements Pending {
  readonly #counter: Counter;
  readonly #labels: Readonly<Record<string, string>>;
  #count = 0;

  constructor(counter: Counter, labels: Readonly<Record<string, string>>) {
    this.#counter = counter;
    this.#labels = labels;
  }

  add(): void {
    this.#count += 1;
  }

  flush(): void {
    if (this.#count > 0) this.#counter.inc({ ...this.#labels }, this.#count);
    this.#count = 0;
  }
}

/** Values of one histogram, handed on by the hundred: what the library does for one is cheaper for many in a row. */
export class Durations implements Pending {
  readonly #histogram: Histogram;
  readonly #values = new Float64Array(128);
  #count = 0;

  constructor(histogram: Histogram) {
    this.#histogram = histogram;
  }

  add(value: number): void {
    this.#values[this.#count] = value;
    this.#count += 1;
    if (this.#count === this.#values.length) this.flush();
  }

  flush(): void {
    for (const value of this.#values.subarray(0, this.#count)) this.#histogram.observe(value);
    this.#count = 0;
  }
}
