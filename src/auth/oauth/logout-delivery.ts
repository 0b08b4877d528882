/** Tells a client that somebody's session has ended: one of them, or all (`sessionId` null). */
export interface LogoutNotice {
  readonly clientId: string;
  readonly userId: string;
  readonly sessionId: string | null;
}

export interface DeliveryOptions {
  /** Tries once; rejects unless the client has taken the notice. */
  readonly deliver: (notice: LogoutNotice) => Promise<void>;
  /** The notice was given up. */
  readonly onFault: (error: unknown, clientId: string) => void;
  /** How long to wait after the first failure, after the second and so on, ms. */
  readonly delaysMs: readonly number[];
}

interface Pending {
  readonly notice: LogoutNotice;
  readonly failures: number;
}

/** More are given up: a client that does not answer must not take the memory of a node. */
const mostPending = 10_000;
const mostAtOnce = 8;

/** Delivers notices, a few at once. One that waits for its next try holds up no other. */
export class LogoutDelivery {
  readonly #options: DeliveryOptions;
  readonly #queue: Pending[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  #atWork = 0;
  #closed = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  add(notices: readonly LogoutNotice[]): void {
    for (const notice of notices) this.#enqueue({ notice, failures: 0 });
  }

  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.#timers.forEach(clearTimeout);
  }

  #enqueue(pending: Pending): void {
    if (this.#closed) return;
    if (this.#queue.length + this.#timers.size >= mostPending)
      this.#options.onFault(new Error("too many logout notices wait"), pending.notice.clientId);
    else this.#queue.push(pending);
    this.#work();
  }

  #work(): void {
    while (this.#atWork < mostAtOnce) {
      const pending = this.#queue.shift();
      if (pending === undefined) return;
      this.#atWork += 1;
      void this.#try(pending).finally(() => {
        this.#atWork -= 1;
        this.#work();
      });
    }
  }

  async #try({ notice, failures }: Pending): Promise<void> {
    const { deliver, delaysMs, onFault } = this.#options;
    try {
      await deliver(notice);
    } catch (error) {
      const delay = delaysMs[failures];
      if (delay === undefined) onFault(error, notice.clientId);
      else this.#later(delay, { notice, failures: failures + 1 });
    }
  }

  #later(delay: number, pending: Pending): void {
    if (this.#closed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#enqueue(pending);
    }, delay).unref();
    this.#timers.add(timer);
  }
}
