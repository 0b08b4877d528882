/** Seconds of messages that may come at once. */
const burstSeconds = 5;

/**
 * A token bucket over the messages of one socket. What comes over it is refused; a socket that goes on, for another
 * burst without ever leaving the bucket half full, is to be closed.
 */
export class MessageRate {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;
  #refused = 0;

  constructor(perSecond: number, now: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = perSecond * burstSeconds;
    this.#tokens = this.#burst;
    this.#at = now;
  }

  /** `now`: monotonic milliseconds. */
  take(now: number): "pass" | "refuse" | "close" {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
    if (this.#tokens * 2 > this.#burst) this.#refused = 0;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return "pass";
    }
    this.#refused += 1;
    return this.#refused > this.#burst ? "close" : "refuse";
  }
}
