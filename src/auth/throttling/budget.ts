/** So many tries at once; each comes back by itself, one every `regainMs`. */
export interface Budget {
  readonly attempts: number;
  readonly refillMs: number;
}

export type Spending =
  | { readonly ok: true; readonly fullAt: number }
  | { readonly ok: false; readonly retryAfterMs: number };

/**
 * Takes one try. A counter is the one number `fullAt`: when all tries will be back (ms since the epoch), undefined or past
 * when all are there. A number that no spending can have made comes from another clock, and counts as an empty budget.
 */
export function spend({ attempts, refillMs }: Budget, fullAt: number | undefined, now: number): Spending {
  const emptyAt = now + attempts * refillMs;
  const next = Math.min(Math.max(fullAt ?? 0, now), emptyAt) + refillMs;
  return next > emptyAt ? { ok: false, retryAfterMs: next - emptyAt } : { ok: true, fullAt: next };
}

/** Gives one try back. */
export function refund({ refillMs }: Budget, fullAt: number | undefined): number {
  return Math.max(0, (fullAt ?? 0) - refillMs);
}
