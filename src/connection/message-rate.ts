/** Seconds of messages that may come at once. */
const burstSeconds = 5;

export type RateVerdict = "pass" | "refuse" | "close";

/**
 * A token bucket over the messages of one socket. Messages above it are refused. After a whole burst of refusals, with the
 * bucket never more than half full meanwhile, the verdict is `close`.
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

  /** Nothing of the burst is used: a new bucket would say the same. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens === this.#burst;
  }

  /** `now`: monotonic milliseconds. `cost`: messages that this one counts for. */
  take(now: number, cost = 1): RateVerdict {
    this.#refill(now);
    if (this.#tokens * 2 > this.#burst) this.#refused = 0;
    if (this.#tokens >= cost) {
      this.#tokens -= cost;
      return "pass";
    }
    this.#refused += cost;
    return this.#refused > this.#burst ? "close" : "refuse";
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
  }
}

/** Buckets that are kept before full ones are removed. */
const keptBuckets = 1_024;

/**
 * One bucket for all sockets of a user on this node. Without it, a user with many sockets, or one who reconnects, has a
 * burst for each of them, which together hold up the event loop for everybody.
 */
export class UserMessageRates {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, MessageRate>();
  #removeAt = keptBuckets;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Users whose bucket is remembered. */
  get users(): number {
    return this.#buckets.size;
  }

  take(userId: string, now: number, cost = 1): RateVerdict {
    let bucket = this.#buckets.get(userId);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#removeAt) this.#removeFull(now);
      bucket = new MessageRate(this.#perSecond, now);
      this.#buckets.set(userId, bucket);
    }
    return bucket.take(now, cost);
  }

  /** The next removal waits until as many have come again, so its cost for each message stays constant. */
  #removeFull(now: number): void {
    for (const [userId, bucket] of this.#buckets) if (bucket.isFull(now)) this.#buckets.delete(userId);
    this.#removeAt = Math.max(keptBuckets, this.#buckets.size * 2);
  }
}

/** The stricter one. */
export function stricter(one: RateVerdict, other: RateVerdict): RateVerdict {
  if (one === "close" || other === "close") return "close";
  return one === "refuse" ? one : other;
}
