/** What an address asked for before it is authenticated. */
export type StrangersWork = "upgrade" | "message" | "request";

export interface LoopBudgetOptions {
  /** Milliseconds of the event loop that one address may take per second, on average. */
  readonly msPerSecond: number;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly onRefused: (work: StrangersWork) => void;
}

/** An address may take so many seconds' worth at once. */
const burstSeconds = 8;
/** Bursts that are owed by who goes on while it is refused; nobody can owe more than two. */
const persistence = 1.5;
/** Addresses that are remembered. */
const mostShares = 10_000;

interface Debt {
  /** Milliseconds that were taken and are not yet paid back, as of `at`. */
  ms: number;
  at: number;
}

/**
 * Time of the event loop that strangers take, by the share of their address (see `addressShare`). Work is charged after
 * it was done; who owes more than a burst is refused until time has paid it back. What is authenticated at once is never
 * charged, so any number of clients with good tokens behind one address get in.
 */
export class LoopBudget {
  readonly #options: LoopBudgetOptions;
  readonly #debts = new Map<string, Debt>();

  constructor(options: LoopBudgetOptions) {
    this.#options = options;
  }

  /** Shares that are remembered. */
  get shares(): number {
    return this.#debts.size;
  }

  /** Seconds until `share` may ask again, counted as a refusal; undefined: it may ask now. */
  refusal(share: string, work: StrangersWork): number | undefined {
    const debt = this.#debts.get(share);
    if (debt === undefined) return undefined;
    const over = this.#owed(debt, this.#options.now()) - this.#burst;
    if (over <= 0) return undefined;
    this.#options.onRefused(work);
    return Math.max(1, Math.ceil(over / this.#options.msPerSecond));
  }

  /** True: `share` owes so much more than a burst that it must have gone on while it was refused. */
  persists(share: string): boolean {
    const debt = this.#debts.get(share);
    return debt !== undefined && this.#owed(debt, this.#options.now()) > this.#burst * persistence;
  }

  /** Charges work that was done; false: `share` may not ask for more, counted as a refusal. */
  take(share: string, work: StrangersWork, ms: number): boolean {
    this.charge(share, ms);
    return this.refusal(share, work) === undefined;
  }

  /** Most debts are paid back within a second. */
  charge(share: string, ms: number): void {
    const now = this.#options.now();
    const debt = this.#debts.get(share);
    if (debt === undefined) {
      if (this.#debts.size >= mostShares) this.#forgetOldest();
      this.#debts.set(share, { ms, at: now });
      return;
    }
    // Bounded, so that nobody waits for longer than a burst takes to be paid back.
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

/** For who serves nobody from outside: nothing is ever refused. */
export function unlimitedLoop(): LoopBudget {
  return new LoopBudget({
    msPerSecond: Number.MAX_SAFE_INTEGER,
    now: () => 0,
    onRefused: () => undefined,
  });
}
