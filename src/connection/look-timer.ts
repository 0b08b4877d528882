import type { Clock } from "../auth/clock/clock.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

export interface LookTimerParts {
  readonly wheel: TimerWheel;
  readonly clock: Pick<Clock, "monotonic">;
}

/** The last look before a socket's end leaves this much time for what it brings, ms. */
const lastLookMs = 2_000;
/** When the record could not be read. */
const lookAgainMs = 1_000;

/**
 * When a socket looks at the record of its login flow without having been told that there is something new: events may be
 * lost. Takes nothing of the wheel until it is needed.
 */
export class LookTimer implements TimerOwner {
  readonly #parts: LookTimerParts;
  readonly #look: () => void;
  #timer: Timer | undefined;

  constructor(parts: LookTimerParts, look: () => void) {
    this.#parts = parts;
    this.#look = look;
  }

  due(): void {
    this.#look();
  }

  /** Once shortly before the flow or its socket ends, and once at the flow's end; both monotonic ms. */
  beforeEnd(flowEndsAt: number, socketEndsAt: number): void {
    const now = this.#parts.clock.monotonic();
    const lastLookAt = Math.min(flowEndsAt, socketEndsAt) - lastLookMs;
    this.#set(Math.max(lookAgainMs, (lastLookAt > now ? lastLookAt : flowEndsAt) - now));
  }

  again(): void {
    this.#set(lookAgainMs);
  }

  stop(): void {
    if (this.#timer !== undefined) this.#parts.wheel.cancel(this.#timer);
  }

  #set(delayMs: number): void {
    this.#timer ??= new Timer(this);
    this.#parts.wheel.set(this.#timer, delayMs);
  }
}
