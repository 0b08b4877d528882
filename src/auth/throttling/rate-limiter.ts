import { LRUCache } from "lru-cache";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";

/**
 * At most `limit` failures for each key within `windowMs`, on this node. Attempts are charged before they are carried
 * out.
 */
export class RateLimiter {
  readonly #options: { readonly limit: number; readonly windowMs: number; readonly clock: Clock };
  readonly #attempts = new LRUCache<string, readonly number[]>({ max: 10_000 });

  constructor(options: { readonly limit: number; readonly windowMs: number; readonly clock: Clock }) {
    this.#options = options;
  }

  /** Charges one attempt. Throws `rate_limited` with the time until the oldest one leaves the window. */
  charge(key: string): void {
    const { limit, windowMs, clock } = this.#options;
    const now = clock.monotonic();
    const recent = this.#recent(key, now);
    const [oldest] = recent;
    if (oldest !== undefined && recent.length >= limit) {
      const retryAfterSeconds = Math.max(1, Math.ceil((oldest + windowMs - now) / 1000));
      throw new AuthError("rate_limited", { retryAfterSeconds });
    }
    this.#attempts.set(key, [...recent, now]);
  }

  /** Takes the last charge back: it was no failure. Those before it stay. */
  refund(key: string): void {
    this.#attempts.set(key, this.#recent(key, this.#options.clock.monotonic()).slice(0, -1));
  }

  /** Resets the key, after a success. */
  clear(key: string): void {
    this.#attempts.delete(key);
  }

  #recent(key: string, now: number): readonly number[] {
    return (this.#attempts.get(key) ?? []).filter((at) => at > now - this.#options.windowMs);
  }
}
