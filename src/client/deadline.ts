/** A deadline that can be paused. Time is `performance.now()`. */
export class Deadline {
  readonly #onLate: () => void;
  #leftMs: number;
  #startedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Paused until `start`. `onLate` is called once, unless `stop` comes first. */
  constructor(ms: number, onLate: () => void) {
    this.#leftMs = ms;
    this.#onLate = onLate;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#startedAt = performance.now();
    this.#timer = setTimeout(this.#onLate, this.#leftMs);
  }

  /** Pauses; the remaining time is kept for the next `start`. */
  stop(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leftMs = Math.max(0, this.#leftMs - (performance.now() - this.#startedAt));
  }
}
