/** Milliseconds of one tick that may be spent on reads with many frames, for all sockets of a listener. */
const TURN_MS = 2;

/** A socket that has more frames to read than it may read at once. */
export interface FrameReader {
  /** Reads a few more. If frames are left, it asks for another turn. */
  readOn(): void;
}

/**
 * Readers that wait for a later tick: first come, first served, a few frames each. Between two turns the input of all
 * other sockets is read.
 */
export class FrameTurns {
  readonly #waiting = new Set<FrameReader>();
  #planned = false;

  ask(reader: FrameReader): void {
    this.#waiting.add(reader);
    this.#plan();
  }

  forget(reader: FrameReader): void {
    this.#waiting.delete(reader);
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#planned = false;
    const end = performance.now() + TURN_MS;
    // A reader that asks again meanwhile is at the end of the set. It gets another turn if there is time.
    for (const reader of this.#waiting) {
      this.#waiting.delete(reader);
      reader.readOn();
      if (performance.now() >= end) break;
    }
    if (this.#waiting.size > 0) this.#plan();
  }
}
