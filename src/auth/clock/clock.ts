/** The domain's only source of time; tests pass a clock that they set. */
export interface Clock {
  /** Milliseconds since the Unix epoch: what is stored and what tokens carry. */
  now(): number;
  /** Milliseconds that never jump back, for durations. */
  monotonic(): number;
  /**
   * Milliseconds since the machine was started, including its sleep, which `monotonic` leaves out. If absent, a sleep
   * cannot be distinguished from a clock that was set.
   */
  uptime?(): number;
  /**
   * No later than the true time by any available clock. Irreversible decisions use it (see `isCertainlyPast`). If
   * absent, `now` is used.
   */
  earliest?(): number;
}

export type WallClock = Pick<Clock, "now" | "earliest">;

/** Whether a time (ms) is past by every available clock. */
export function isCertainlyPast(clock: WallClock, end: number): boolean {
  return end <= (clock.earliest?.() ?? clock.now());
}
