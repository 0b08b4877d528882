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
const maxPending = 20_000;
/** Of one client. */
const maxPendingPerClient = 5_000;
const maxInFlight = 16;
/** To one client, so that one that does not answer leaves room for the others. */
const maxInFlightPerClient = 2;

/** What waits for one client, and what is being sent to it. */
interface ClientQueue {
  readonly queue: Pending[];
  /** Notices that wait for their next try. */
  delayed: number;
  inFlight: number;
}

/**
 * Delivers notices: two at once to each client, and clients in turn. Clients that do not answer delay others only if eight of
 * them do not answer at once. One that waits for its next try delays nobody.
 */
export class LogoutDelivery {
  readonly #options: DeliveryOptions;
  /** In the order in which their turns come. */
  readonly #queues = new Map<string, ClientQueue>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #waiting = 0;
  #inFlight = 0;
  #closed = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  add(notices: readonly LogoutNotice[]): void {
    for (const notice of notices) this.#enqueue({ notice, failures: 0 });
  }

  close(): void {
    this.#closed = true;
    this.#queues.clear();
    this.#timers.forEach(clearTimeout);
  }

  #enqueue(pending: Pending): void {
    if (this.#closed) return;
    const { clientId } = pending.notice;
    const line = this.#queues.get(clientId) ?? { queue: [], delayed: 0, inFlight: 0 };
    this.#queues.set(clientId, line);
    const isFull =
      this.#waiting + this.#timers.size >= maxPending ||
      line.queue.length + line.delayed >= maxPendingPerClient;
    if (isFull) this.#options.onFault(new Error("too many logout notices wait"), clientId);
    else {
      line.queue.push(pending);
      this.#waiting += 1;
    }
    this.#forgetIdle(clientId, line);
    this.#work();
  }

  #work(): void {
    if (this.#inFlight >= maxInFlight) return;
    for (const [clientId, line] of [...this.#queues]) {
      if (this.#inFlight >= maxInFlight) return;
      const pending = line.inFlight < maxInFlightPerClient ? line.queue.shift() : undefined;
      if (pending === undefined) continue;
      this.#waiting -= 1;
      this.#inFlight += 1;
      line.inFlight += 1;
      // Its next turn comes after those of the others.
      this.#queues.delete(clientId);
      this.#queues.set(clientId, line);
      void this.#try(pending, line).finally(() => {
        this.#inFlight -= 1;
        line.inFlight -= 1;
        this.#forgetIdle(clientId, line);
        this.#work();
      });
    }
  }

  async #try({ notice, failures }: Pending, line: ClientQueue): Promise<void> {
    const { deliver, delaysMs, onFault } = this.#options;
    try {
      await deliver(notice);
    } catch (error) {
      const delay = delaysMs[failures];
      if (delay === undefined) onFault(error, notice.clientId);
      else this.#later(delay, { notice, failures: failures + 1 }, line);
    }
  }

  #later(delay: number, pending: Pending, line: ClientQueue): void {
    if (this.#closed) return;
    line.delayed += 1;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      line.delayed -= 1;
      this.#enqueue(pending);
    }, delay).unref();
    this.#timers.add(timer);
  }

  #forgetIdle(clientId: string, { queue, delayed, inFlight }: ClientQueue): void {
    if (queue.length + delayed + inFlight === 0) this.#queues.delete(clientId);
  }
}
