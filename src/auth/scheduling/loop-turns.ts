/** Milliseconds of one iteration of the event loop that work of one kind may take before the rest of it waits. */
const turnMs = 4;

/** Somebody with work that waits for a later turn, such as a socket with commands. */
export interface TurnTaker {
  /** Runs at least one piece, then more while the turn lasts. If some are left, it asks again. */
  runOn(): void;
}

/**
 * Shares the event loop: work of one kind that came in a burst waits between its pieces, and everybody else's messages
 * are read and answered meanwhile. Each kind has turns of its own. Whoever asks first is served first, then each one
 * after another.
 */
export class LoopTurns {
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

  /** Resolves in a turn, in the order of the calls. What the caller does before its next promise belongs to that turn. */
  next(): Promise<void> {
    return new Promise((resolve) => this.ask({ runOn: resolve }));
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
 * Only then is it known what work has cost that answers with a promise.
 */
export function afterPromises(go: () => void): void {
  // `nextTick` alone runs before promises, a microtask alone among them.
  queueMicrotask(() => process.nextTick(go));
}
