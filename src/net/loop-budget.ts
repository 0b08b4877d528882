/** Kinds of work that an address may cause before authentication. */
export type UnauthenticatedWork = "upgrade" | "message" | "request";

export interface LoopBudgetOptions {
  /** Milliseconds of event-loop time that one address may use per second, on average. */
  readonly msPerSecond: number;
  /** Monotonic time, ms. */
  readonly now: () => number;
  readonly onRefused: (work: UnauthenticatedWork) => void;
}

/** An address may use this many seconds' worth at once. */
const burstSeconds = 8;
/**
 * A debt of this many bursts shows that an address goes on although it is refused. The debt is capped at two bursts.
 */
const persistentDebtBursts = 1.5;
/** Shares that are remembered. */
const maxShares = 10_000;

interface Debt {
  /** Milliseconds that were used and are not paid back yet, as of `at`. */
  ms: number;
  at: number;
}

/**
 * Limits the event-loop time that unauthenticated peers use, for each address share (see `addressShare`). Work is
 * charged after it was done. A share that owes more than a burst is refused until time has paid it back. A message that
 * authenticates at once is never charged, so any number of clients with valid tokens can connect from one address.
 */
export class LoopBudget {
  readonly #options: LoopBudgetOptions;
  readonly #debts = new Map<string, Debt>();

  constructor(options: LoopBudgetOptions) {
    this.#options = options;
  }

  /** Number of shares that are remembered. */
  get shares(): number {
    return this.#debts.size;
  }

  /** Seconds until `share` may ask again, counted as a refusal; undefined if it may ask now. */
  refusal(share: string, work: UnauthenticatedWork): number | undefined {
    const debt = this.#debts.get(share);
    if (debt === undefined) return undefined;
    const over = this.#owed(debt, this.#options.now()) - this.#burst;
    if (over <= 0) return undefined;
    this.#options.onRefused(work);
    return Math.max(1, Math.ceil(over / this.#options.msPerSecond));
  }

  /** True if `share` owes so much more than a burst that it must have gone on while it was refused. */
  persistsDespiteRefusal(share: string): boolean {
    const debt = this.#debts.get(share);
    return debt !== undefined && this.#owed(debt, this.#options.now()) > this.#burst * persistentDebtBursts;
  }

  /** Charges work that was done. False if `share` may not ask for more, counted as a refusal. */
  take(share: string, work: UnauthenticatedWork, ms: number): boolean {
    this.charge(share, ms);
    return this.refusal(share, work) === undefined;
  }

  /** Most debts are paid back within a second. */
  charge(share: string, ms: number): void {
    const now = this.#options.now();
    const debt = this.#debts.get(share);
    if (debt === undefined) {
      if (this.#debts.size >= maxShares) this.#forgetOldest();
      this.#debts.set(share, { ms, at: now });
      return;
    }
    // Capped, so that nobody waits longer than a burst takes to be paid back.
    debt.ms = Math.min(this.#owed(debt, now) + ms, this.#burst * 2);
    debt.at = now;
  }

  get #burst(): number {
    return this.#options.msPerSecond * burstSeconds;
  }

  #owed({ ms, at }: Debt, now: number): number {
    return Math.max(0, ms - ((now - at) / 1000) * this.#options.msPerSecond);
  }

  #forgetOldest(): void {
    for (const share of this.#debts.keys()) {
      this.#debts.delete(share);
      return;
    }
  }
}

/** A budget that never refuses, for a server that is not exposed. */
export function unlimitedLoopBudget(): LoopBudget {
  return new LoopBudget({
    msPerSecond: Number.MAX_SAFE_INTEGER,
    now: () => 0,
    onRefused: () => undefined,
  });
}
