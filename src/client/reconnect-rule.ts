import { closeRule } from "../../protocol/close-codes.ts";

/** An authenticated connection that lasted this long sets the back-off back. */
const steadyMs = 30_000;

export interface Reconnection {
  readonly afterMs: number;
  /** The access token is not good any more: the client authenticates with its refresh token. */
  readonly refreshFirst: boolean;
}

/**
 * What a client does after the close of an authenticated socket, by the table of close codes (protocol/codes.md).
 * Undefined: it does not reconnect.
 */
export function reconnectionAfter(
  code: number,
  authenticatedForMs: number,
  backoff: Backoff,
): Reconnection | undefined {
  const { reconnect, need } = closeRule(code);
  if (reconnect === "never") return undefined;
  if (authenticatedForMs >= steadyMs) backoff.reset();
  const atOnce = reconnect === "now" && backoff.isReset;
  const delayMs = backoff.next();
  return { afterMs: atOnce ? 0 : delayMs, refreshFirst: need === "refresh" };
}

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
