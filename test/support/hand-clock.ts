import type { Clock } from "../../src/auth/clock/clock.ts";

/** A clock that stands still until it is wound. */
export interface HandClock extends Clock {
  /** Both hands go on by `ms`. */
  advance(ms: number): void;
  /** The wall clock alone is set, also back; durations do not notice. */
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
