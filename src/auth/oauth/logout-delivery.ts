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

/** More are given up: clients that do not answer must not take the memory of a node. */
const mostPending = 20_000;
/** Of one client. */
const mostPendingOfOne = 5_000;
const mostAtOnce = 16;
/** To one client, so that one that does not answer leaves room for the others. */
const mostAtOnceOfOne = 2;

/** What waits for one client, and what is being sent to it. */
interface Line {
  readonly queue: Pending[];
  /** Notices that wait for their next try. */
  delayed: number;
  atWork: number;
}

/**
 * Delivers notices: a few at once to each client, and clients in turn. One that does not answer holds up no other until
 * half as many clients as can be sent to at once do not answer. One that waits for its next try holds up none.
 */
export class LogoutDelivery {
  readonly #options: DeliveryOptions;
  /** In the order in which their turns come. */
  readonly #lines = new Map<string, Line>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #waiting = 0;
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
    this.#lines.clear();
    this.#timers.forEach(clearTimeout);
  }

  #enqueue(pending: Pending): void {
    if (this.#closed) return;
    const { clientId } = pending.notice;
    const line = this.#lines.get(clientId) ?? { queue: [], delayed: 0, atWork: 0 };
    this.#lines.set(clientId, line);
    const isFull =
      this.#waiting + this.#timers.size >= mostPending ||
      line.queue.length + line.delayed >= mostPendingOfOne;
    if (isFull) this.#options.onFault(new Error("too many logout notices wait"), clientId);
    else {
      line.queue.push(pending);
      this.#waiting += 1;
    }
    this.#forgetIdle(clientId, line);
    this.#work();
  }

  #work(): void {
    if (this.#atWork >= mostAtOnce) return;
    for (const [clientId, line] of [...this.#lines]) {
      if (this.#atWork >= mostAtOnce) return;
      const pending = line.atWork < mostAtOnceOfOne ? line.queue.shift() : undefined;
      if (pending === undefined) continue;
      this.#waiting -= 1;
      this.#atWork += 1;
      line.atWork += 1;
      // Its next turn comes after those of the others.
      this.#lines.delete(clientId);
      this.#lines.set(clientId, line);
      void this.#try(pending, line).finally(() => {
        this.#atWork -= 1;
        line.atWork -= 1;
        this.#forgetIdle(clientId, line);
        this.#work();
      });
    }
  }

  async #try({ notice, failures }: Pending, line: Line): Promise<void> {
    const { deliver, delaysMs, onFault } = this.#options;
    try {
      await deliver(notice);
    } catch (error) {
      const delay = delaysMs[failures];
      if (delay === undefined) onFault(error, notice.clientId);
      else this.#later(delay, { notice, failures: failures + 1 }, line);
    }
  }

  #later(delay: number, pending: Pending, line: Line): void {
    if (this.#closed) return;
    line.delayed += 1;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      line.delayed -= 1;
      this.#enqueue(pending);
    }, delay).unref();
    this.#timers.add(timer);
  }

  #forgetIdle(clientId: string, { queue, delayed, atWork }: Line): void {
    if (queue.length + delayed + atWork === 0) this.#lines.delete(clientId);
  }
}
