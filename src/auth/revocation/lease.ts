import type { Clock } from "../clock/clock.ts";
import type { DisabledSafeguards } from "../safeguards.ts";

/** How long the view is trusted after it was last shown to be complete, milliseconds. */
export const leaseMs = 3_000;
/** Three heartbeats in a row may be lost. */
export const leaseHeartbeatMs = 750;
/** What clocks that run at different rates, and a check that comes a little late, add to a lease elsewhere. */
export const leaseMarginMs = 250;

/** A moment on both hands of the clock: the monotonic one stands still while the machine sleeps. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

/**
 * Whether this node may believe its revocation view, and so serve anybody: for L from a moment at which it provably
 * knew everything that had been committed. No timer: asked on every use, so that a process that was stopped, or whose
 * loop was held up, knows before it does anything else.
 */
export interface Lease {
  /** Hot path: two readings of the clock and a few comparisons. */
  holds(): boolean;
  /** The larger of the monotonic and the wall clock's age, ms; Infinity before the first renewal and during a break. */
  ageMs(): number;
  /** From the clock's `monotonic`: this node knew all that was committed before. -Infinity when it does not hold. */
  provenAt(): number;
  /** An older moment than the present one changes nothing. */
  renew(from: Moment): void;
  /** Asked instead of `renew` where a look at the log shows it all: the look's age, ms. */
  useReadAge(readAgeMs: () => number): void;
  /** Not held from now on, whatever comes, until `mend`. */
  break(): void;
  recover(): void;
  readonly broken: boolean;
}

export function createLease(clock: Clock, disabledSafeguards: DisabledSafeguards): Lease {
  let from: Moment | undefined;
  let looked: (() => number) | undefined;
  let broken = false;

  const ageMs = (): number => {
    if (broken) return Number.POSITIVE_INFINITY;
    if (looked !== undefined) return looked();
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
      looked = readAgeMs;
    },
    break() {
      broken = true;
      from = undefined;
    },
    recover() {
      broken = false;
    },
    get broken() {
      return broken;
    },
  };
}
