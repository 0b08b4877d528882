/** A token bucket: `attempts` at once, and one more every `refillMs`. */
export interface Budget {
  readonly attempts: number;
  readonly refillMs: number;
}

export type Spending =
  | { readonly ok: true; readonly fullAt: number }
  | { readonly ok: false; readonly retryAfterMs: number };

/**
 * Spends one attempt. The counter is the number `fullAt`: when the bucket will be full again (ms since the epoch);
 * undefined or past if it is full. A number that is too high to result from spending comes from another clock, and
 * counts as an empty bucket.
 */
export function spend({ attempts, refillMs }: Budget, fullAt: number | undefined, now: number): Spending {
  const fullAtIfEmpty = now + attempts * refillMs;
  const next = Math.min(Math.max(fullAt ?? 0, now), fullAtIfEmpty) + refillMs;
  return next > fullAtIfEmpty
    ? { ok: false, retryAfterMs: next - fullAtIfEmpty }
    : { ok: true, fullAt: next };
}

/** Returns one attempt to the bucket. */
export function refund({ refillMs }: Budget, fullAt: number | undefined): number {
  return Math.max(0, (fullAt ?? 0) - refillMs);
}
