/** A token bucket: `attempts` at once, and one more every `refillMs`. */
export interface Budget {
  readonly attempts: number;
  readonly refillMs: number;
}

/** For guesses at the own password by which a user asks for a new one. */
export const passwordChangeBudget: Budget = { attempts: 5, refillMs: 60_000 };

/** For guesses of a person who is logged in at the code that a device shows. */
export const userCodeBudget: Budget = { attempts: 10, refillMs: 60_000 };

/** For messages with one-time codes that a person is sent: who knows the password could have them sent without end. */
export const factorMessageBudget: Budget = { attempts: 5, refillMs: 120_000 };

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

/** Attempts that the bucket has now. */
export function attemptsLeft(
  { attempts, refillMs }: Budget,
  fullAt: number | undefined,
  now: number,
): number {
  const missing = Math.ceil(Math.max(0, (fullAt ?? 0) - now) / refillMs);
  return Math.max(0, attempts - missing);
}

/** Returns one attempt to the bucket. */
export function refund({ refillMs }: Budget, fullAt: number | undefined): number {
  return Math.max(0, (fullAt ?? 0) - refillMs);
}
