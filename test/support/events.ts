import { within } from "./within.ts";

/** Events in order, for a test that waits for the next one with a deadline. */
export class Events<T> {
  readonly #what: string;
  readonly #seen: T[] = [];
  #wake: () => void = () => undefined;

  constructor(what: string) {
    this.#what = what;
  }

  push(event: T): void {
    this.#seen.push(event);
    this.#wake();
  }

  /** Events that were not taken yet. */
  get waiting(): readonly T[] {
    return this.#seen;
  }

  /** The next event, within `ms`. One waiter at a time. */
  async next(ms?: number): Promise<T> {
    if (this.#seen.length === 0) {
      const arrival = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await within(arrival, this.#what, ms);
    }
    return this.#seen.shift() as T;
  }
}
