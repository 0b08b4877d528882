/** So many tries at once; each comes back by itself, one every `regainMs`. */
export interface Budget {
  readonly tries: number;
  readonly regainMs: number;
}

export type Spending =
  | { readonly ok: true; readonly fullAt: number }
  | { readonly ok: false; readonly retryAfterMs: number };

/**
 * Takes one try. A counter is the one number `fullAt`: when all tries will be back (ms since the epoch), undefined or past
 * when all are there. A number that no spending can have made comes from another clock, and counts as an empty budget.
 */
export function spend({ tries, regainMs }: Budget, fullAt: number | undefined, now: number): Spending {
  const emptyAt = now + tries * regainMs;
  const next = Math.min(Math.max(fullAt ?? 0, now), emptyAt) + regainMs;
  return next > emptyAt ? { ok: false, retryAfterMs: next - emptyAt } : { ok: true, fullAt: next };
}

/** Gives one try back. */
export function giveBack({ regainMs }: Budget, fullAt: number | undefined): number {
  return Math.max(0, (fullAt ?? 0) - regainMs);
}
