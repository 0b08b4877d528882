import type { Clock } from "../../src/auth/clock/clock.ts";

/** This machine's clock with a settable wall clock; durations do not change. */
export class SetClock implements Clock {
  offsetMs = 0;
  #frozenAt: number | undefined;

  now = (): number => (this.#frozenAt ?? Date.now()) + this.offsetMs;
  monotonic = (): number => performance.now();

  freeze(): void {
    this.#frozenAt = Date.now();
  }
}
