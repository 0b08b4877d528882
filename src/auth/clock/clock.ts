/** The domain's only source of time; tests pass a hand-wound one. */
export interface Clock {
  /** Milliseconds since the Unix epoch: what is stored and what tokens carry. */
  now(): number;
  /** Milliseconds that never jump back, for durations. */
  monotonic(): number;
  /**
   * Milliseconds since the machine was started, its sleep included, which `monotonic` leaves out. Absent: a sleep cannot
   * be told from a clock that was set.
   */
  uptime?(): number;
  /**
   * No later than the true time, as far as anything here tells. What cannot be undone is judged by it (see `isSurelyOver`).
   * Absent: `now`.
   */
  earliest?(): number;
}

export type WallClock = Pick<Clock, "now" | "earliest">;

/** Whether a time (ms) is past by whatever clock there is. */
export function isCertainlyPast(clock: WallClock, end: number): boolean {
  return end <= (clock.earliest?.() ?? clock.now());
}
