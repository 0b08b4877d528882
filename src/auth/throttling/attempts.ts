import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Store } from "../store.ts";
import { type Budget, refund, spend } from "./budget.ts";
import { type Counter, clearCounter, fullAtOf, writeCounter } from "./counter-record.ts";
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
export type ChargeAttempt = (counter: Counter) => Promise<Attempt>;

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
  return async (counter) => {
    const { key } = counter;
    await counters
      .change([key], (draft) => {
        const now = clock.now();
        const spending = spend(budget, fullAtOf(draft.get(key)), now);
        if (!spending.ok) throw rateLimited(spending.retryAfterMs);
        writeCounter(draft, counter, { budget, fullAt: spending.fullAt, now });
      })
      .catch(rateLimitOnConflict);
    return {
      succeeded: () => counters.change([key], (draft) => clearCounter(draft, counter, clock.now())),
      refund: () =>
        counters.change([key], (draft) => {
          const fullAt = refund(budget, fullAtOf(draft.get(key)));
          writeCounter(draft, counter, { budget, fullAt, now: clock.now() });
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
