import type { Clock } from "../../src/auth/clock/clock.ts";

/** A clock that stands still until it is advanced. */
export interface HandClock extends Clock {
  /** Advances wall clock and monotonic clock by `ms`. */
  advance(ms: number): void;
  /** Sets only the wall clock, also backwards; durations do not change. */
  setWall(ms: number): void;
}

export function handClock(start = Date.UTC(2026, 10, 23, 12)): HandClock {
  let now = start;
  let elapsed = 0;
  return {
    now: () => now,
    monotonic: () => elapsed,
    advance(ms) {
      now += ms;
      elapsed += ms;
    },
    setWall(ms) {
      now = ms;
    },
  };
}
