/** The domain's only source of time; tests pass a hand-wound one. */
export interface Clock {
  /** Milliseconds since the Unix epoch: what is stored and what tokens carry. */
  now(): number;
  /** Milliseconds that never jump back, for durations. */
  monotonic(): number;
}
