import type { ConnectionParts } from "./connection-parts.ts";
import { WheelPlace } from "./timer-wheel.ts";

/** A timer that fires later than this shows that the event loop was blocked, ms. */
const loopStallMs = 1000;

/**
 * The one timer of a connection: the deadline before `auth_ok`, the heartbeat after it and during a login. A base class, so
 * that a socket costs no further object.
 */
export abstract class ConnectionTimer extends WheelPlace {
  /** A frame came in since the last ping of ours. */
  #heard = false;
  #pinged = false;
  /**
   * When the timer was to fire (whole ms, which V8 keeps in the object itself), and whether it was put off once for input
   * that may wait to be read.
   */
  #dueAt = 0;
  #putOff = false;

  /** What all connections of a node share. */
  protected abstract get timing(): Pick<ConnectionParts, "wheel" | "times" | "clock">;
  protected abstract sendPing(): void;
  /** The peer did not answer a ping. */
  protected abstract heartbeatTimedOut(): void;
  /** The timer fired, and not because the event loop was blocked. */
  protected abstract deadline(now: number): void;

  /** Something came from the peer. */
  protected heard(): void {
    this.#heard = true;
  }

  /** A pong came. True if it is the first since a ping of ours. */
  protected answersPing(): boolean {
    const answers = this.#pinged && !this.#heard;
    this.#heard = true;
    return answers;
  }

  protected startHeartbeat(now: number): void {
    this.#pinged = false;
    this.arm(this.timing.times.heartbeatMs, now);
  }

  /**
   * Pings every `heartbeatMs`. Whatever comes in within half of that shows that the peer is alive. `until`: a deadline,
   * monotonic ms, that no ping moves.
   */
  protected beat(now: number, until = Number.POSITIVE_INFINITY): void {
    if (this.#pinged && !this.#heard) {
      this.heartbeatTimedOut();
      return;
    }
    if (!this.#pinged) {
      this.#heard = false;
      this.sendPing();
    }
    this.#pinged = !this.#pinged;
    this.arm(Math.min(this.timing.times.heartbeatMs / 2, until - now), now);
  }

  protected arm(delayMs: number, now: number): void {
    this.#dueAt = Math.ceil(now + delayMs);
    this.#putOff = false;
    this.timing.wheel.set(this, delayMs, now);
  }

  /**
   * After the event loop was blocked, timers fire before the input that waited with them is read. So a deadline
   * that is late is put off once. Otherwise a node that was blocked would close clients that had answered in time.
   */
  override due(): void {
    const now = this.timing.clock.monotonic();
    if (!this.#putOff && now - this.#dueAt > loopStallMs) {
      this.arm(loopStallMs, now);
      this.#putOff = true;
    } else this.deadline(now);
  }
}
