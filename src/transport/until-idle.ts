/** Waits until nothing is in progress any more. */
export class Idle {
  readonly #isIdle: () => boolean;
  #wake: () => void = () => undefined;

  constructor(isIdle: () => boolean) {
    this.#isIdle = isIdle;
  }

  /** Call it when something has ended. */
  note(): void {
    if (this.#isIdle()) this.#wake();
  }

  /** Resolves when nothing is in progress, after `ms` milliseconds at the latest. */
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
