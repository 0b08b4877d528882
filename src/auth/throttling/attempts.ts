import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { RecordKey, Store } from "../store.ts";
import { type Budget, refund, spend } from "./budget.ts";
import { createCounters } from "./counters.ts";

/** An attempt that was charged. */
export interface Attempt {
  /** It succeeded: the counter is reset. */
  succeeded(): Promise<void>;
  /** It was not carried out: the charge is refunded. */
  refund(): Promise<void>;
}

/**
 * Charges an attempt before it is carried out. Throws `rate_limited` with the time until the next attempt, and the
 * store's errors.
 */
export type ChargeAttempt = (key: RecordKey) => Promise<Attempt>;

/**
 * Limits attempts by a counter in the store, for all nodes together. The record expires when the budget is full
 * again.
 */
export function createAttempts(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly budget: Budget;
}): ChargeAttempt {
  const { clock, budget } = options;
  const counters = createCounters(options.store);
  const fullAt = (value: unknown) => (typeof value === "number" ? value : undefined);
  return async (key) => {
    await counters
      .change([key], (draft) => {
        const spending = spend(budget, fullAt(draft.get(key)?.full_at), clock.now());
        if (!spending.ok) throw rateLimited(spending.retryAfterMs);
        draft.put(key, { full_at: spending.fullAt }, spending.fullAt);
      })
      .catch(rateLimitOnConflict);
    return {
      succeeded: () => counters.change([key], (draft) => draft.remove(key)),
      refund: () =>
        counters.change([key], (draft) => {
          const at = refund(budget, fullAt(draft.get(key)?.full_at));
          if (at <= clock.now()) draft.remove(key);
          else draft.put(key, { full_at: at }, at);
        }),
    };
  };
}

export function rateLimited(retryAfterMs: number): AuthError {
  return new AuthError("rate_limited", { retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / 1000)) });
}

/**
 * Every commit was in conflict with other nodes on the same counters: there are more attempts than any budget allows.
 */
export function rateLimitOnConflict(error: unknown): never {
  if (error instanceof AuthError && error.code === "conflict")
    throw new AuthError("rate_limited", { retryAfterSeconds: 1, cause: error });
  throw error;
}
