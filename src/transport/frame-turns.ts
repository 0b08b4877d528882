/** Milliseconds of one turn of the event loop that the rest of crowded reads may take, of all sockets of a listener. */
const TURN_MS = 2;

/** Who has more frames to read than it may read at once. */
export interface FrameReader {
  /** Reads a few more; who is still not done asks for another turn. */
  readOn(): void;
}

/**
 * Readers that wait for a later turn of the event loop: first come, first served, a few frames each. Between two turns
 * everybody else's input is read.
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
    // A reader that asks again meanwhile is at the end of the set, and comes again if there is time.
    for (const reader of this.#waiting) {
      this.#waiting.delete(reader);
      reader.readOn();
      if (performance.now() >= end) break;
    }
    if (this.#waiting.size > 0) this.#plan();
  }
}
