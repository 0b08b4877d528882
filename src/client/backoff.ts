export interface Backoff {
  /** True if nothing was waited for since the start or the last `reset`. */
  readonly isReset: boolean;
  /** Milliseconds until the next attempt: uniform between 0 and a ceiling that doubles ("full jitter"). */
  next(): number;
  /** Sets the ceiling back to its base, after success. */
  reset(): void;
}

/** `random` returns numbers in [0, 1). */
export function createBackoff(options: { baseMs: number; capMs: number; random?: () => number }): Backoff {
  const random = options.random ?? Math.random;
  let tries = 0;
  return {
    get isReset() {
      return tries === 0;
    },
    next() {
      const ceiling = Math.min(options.capMs, options.baseMs * 2 ** Math.min(tries, 30));
      tries += 1;
      return Math.floor(random() * ceiling);
    },
    reset() {
      tries = 0;
    },
  };
}
