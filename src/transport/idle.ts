/** Waits until nothing is left under way. */
export class Idle {
  readonly #isIdle: () => boolean;
  #wake: () => void = () => undefined;

  constructor(isIdle: () => boolean) {
    this.#isIdle = isIdle;
  }

  /** To be called when something has ended. */
  note(): void {
    if (this.#isIdle()) this.#wake();
  }

  /** Resolves when it is idle, at the latest after `ms` milliseconds. */
  within(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      this.note();
    });
  }
}
