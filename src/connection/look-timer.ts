import type { Clock } from "../auth/clock/clock.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

export interface LookTimerParts {
  readonly wheel: TimerWheel;
  readonly clock: Pick<Clock, "monotonic">;
}

/** The last read before a socket's deadline leaves this much time for what follows from it, ms. */
const lastLookMs = 2_000;
/** The wait after the record could not be read, ms. */
const lookAgainMs = 1_000;
const lookLaterMs = 30_000;

/**
 * When a socket reads the record of its login flow without an event of the bus, because events may be lost. Uses no
 * timer until it is needed.
 */
export class FlowPollTimer implements TimerOwner {
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

  /**
   * Once shortly before the deadline of the flow or of the socket, and once at the flow's deadline. Both are
   * monotonic ms.
   */
  beforeEnd(flowEndsAt: number, socketEndsAt: number): void {
    const now = this.#parts.clock.monotonic();
    const lastLookAt = Math.min(flowEndsAt, socketEndsAt) - lastLookMs;
    this.#set(Math.max(lookAgainMs, (lastLookAt > now ? lastLookAt : flowEndsAt) - now));
  }

  /** For what has no deadline that the socket knows of: only a lost event needs it. */
  later(): void {
    this.#set(lookLaterMs);
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
