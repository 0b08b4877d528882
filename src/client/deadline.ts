/** A deadline whose clock can be stopped. Time is that of `performance.now()`. */
export class Deadline {
  readonly #onLate: () => void;
  #leftMs: number;
  #startedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** The clock stands until `start`. `onLate` is called once, unless `stop` comes first. */
  constructor(ms: number, onLate: () => void) {
    this.#leftMs = ms;
    this.#onLate = onLate;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#startedAt = performance.now();
    this.#timer = setTimeout(this.#onLate, this.#leftMs);
  }

  /** What is left stays for the next `start`. */
  stop(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leftMs = Math.max(0, this.#leftMs - (performance.now() - this.#startedAt));
  }
}
