/** Milliseconds of one turn of the event loop that the commands of all sockets may take before the rest waits. */
const turnMs = 4;

/** A socket with messages that wait for a later turn. */
export interface TurnTaker {
  /** Runs at least one, then more while the turn lasts. If some are left, it asks again. */
  runOn(): void;
}

/**
 * Shares the event loop among the sockets of a node: who sends many commands at once waits between them, and everybody
 * else's are read and run meanwhile. What begins first is served first; then each socket gets one turn after another.
 */
export class CommandTurns {
  readonly #waiting = new Set<TurnTaker>();
  readonly #turnMs: number;
  #isOpen = false;
  #isServing = false;
  #endsAt = 0;
  #number = 0;

  constructor(ms = turnMs) {
    this.#turnMs = ms;
  }

  /** The number of the present turn. */
  get number(): number {
    this.#open();
    return this.#number;
  }

  /** Whether there is time left in this turn. */
  goesOn(): boolean {
    this.#open();
    return performance.now() < this.#endsAt;
  }

  ask(taker: TurnTaker): void {
    this.#waiting.add(taker);
    this.#serveSoon();
  }

  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#number += 1;
    this.#endsAt = performance.now() + this.#turnMs;
    setImmediate(() => this.#close());
  }

  #close(): void {
    this.#isOpen = false;
    this.#serve();
  }

  #serveSoon(): void {
    if (this.#isServing || !this.goesOn()) return;
    this.#isServing = true;
    afterPromises(() => {
      this.#isServing = false;
      this.#serve();
    });
  }

  /** One at a time. Whoever asks again goes behind the others, so nobody is served twice before another is served once. */
  #serve(): void {
    const [taker] = this.#waiting;
    if (taker === undefined) return;
    this.#open();
    this.#waiting.delete(taker);
    taker.runOn();
    if (this.#waiting.size > 0) this.#serveSoon();
  }
}

/**
 * Calls it once everything has run that needs no more than settled promises, and before the event loop reads anything.
 * Only then is it known what a command has cost that answers with a promise.
 */
export function afterPromises(go: () => void): void {
  // `nextTick` alone runs before promises, a microtask alone among them.
  queueMicrotask(() => process.nextTick(go));
}
