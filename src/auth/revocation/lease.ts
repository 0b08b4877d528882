import type { Clock } from "../clock/clock.ts";
import type { DisabledSafeguards } from "../safeguards.ts";

/** How long the view is trusted after it was last shown to be complete, milliseconds. */
export const leaseMs = 3_000;
/** Three heartbeats in a row may be lost. */
export const leaseHeartbeatMs = 750;
/** Added to another node's lease: clocks run at different rates, and a check may be a little late. */
export const leaseMarginMs = 250;

/** A moment by both clocks. The monotonic clock stands still while the machine sleeps. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

/**
 * Whether this node may trust its revocation view, and so serve anybody: for `leaseMs` from a moment at which it
 * provably knew everything that had been committed. There is no timer. The lease is checked on every use, so a
 * process that was stopped, or whose event loop was blocked, notices before it does anything else.
 */
export interface Lease {
  /** Hot path: two readings of the clock and a few comparisons. */
  holds(): boolean;
  /**
   * The age by the monotonic or the wall clock, whichever is larger, ms. Infinity before the first renewal and during
   * a break.
   */
  ageMs(): number;
  /**
   * By the clock's `monotonic`: this node knew everything that was committed before this moment. -Infinity if the
   * lease is not held.
   */
  provenAt(): number;
  /** A moment that is older than the current one changes nothing. */
  renew(from: Moment): void;
  /** Replaces `renew` for a store whose log is read completely each time: the age of the last read, ms. */
  useReadAge(readAgeMs: () => number): void;
  /** The lease is not held from now on, whatever renews it, until `recover`. */
  break(): void;
  recover(): void;
}

export function createLease(clock: Clock, disabledSafeguards: DisabledSafeguards): Lease {
  let from: Moment | undefined;
  let readAge: (() => number) | undefined;
  let broken = false;

  const ageMs = (): number => {
    if (broken) return Number.POSITIVE_INFINITY;
    if (readAge !== undefined) return readAge();
    if (from === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(clock.monotonic() - from.monotonic, clock.now() - from.wall);
  };
  const holds = disabledSafeguards.has("lease")
    ? () => ageMs() !== Number.POSITIVE_INFINITY
    : () => ageMs() < leaseMs;
  return {
    holds,
    ageMs,
    provenAt: () => (holds() ? clock.monotonic() - ageMs() : Number.NEGATIVE_INFINITY),
    renew(next) {
      if (from === undefined || next.monotonic > from.monotonic) from = next;
    },
    useReadAge(readAgeMs) {
      readAge = readAgeMs;
    },
    break() {
      broken = true;
      from = undefined;
    },
    recover() {
      broken = false;
    },
  };
}
