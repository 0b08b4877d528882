import type { JsonObject } from "./store.ts";

/**
 * Events between the nodes of an installation, beside the revocation log. An event only says that something may have
 * changed: its listener reads the record and trusts nothing in the event. Two adapters implement this port (in
 * process, Redis pub/sub). One contract suite tests both.
 *
 * - A message arrives at most once at each listener, and may be lost.
 * - Messages of one publisher arrive in their order. Between publishers there is no order.
 * - Whoever can write to the store can send messages.
 */
export interface EventBus {
  /**
   * Sends a message to every listener of the topic on every node, this one included. Returns before any listener is
   * called. Never throws: a message that cannot be sent, or is longer than `maxMessageBytes`, is dropped and the
   * fault is reported.
   */
  publish(topic: string, message: JsonObject): void;
  /** Listens from now on, until the returned function is called. */
  subscribe(topic: string, listener: BusListener): () => void;
  /** Stops delivery. Waits a bounded time for published messages to be sent. Never rejects. */
  close(): Promise<void>;
}

export interface BusListener {
  readonly onMessage: (message: JsonObject) => void;
  /**
   * Messages may have been lost until now, so a listener that waits for something reads its record. Called once for
   * every listener when its subscription is active, and again after every interruption.
   */
  readonly onGap: () => void;
}

/** Bytes of a message as JSON in UTF-8, its topic included. */
export const maxMessageBytes = 4096;

/** The message as it is sent. Throws a RangeError if it is too long. */
export function encodeMessage(topic: string, message: JsonObject): string {
  const text = JSON.stringify([topic, message]);
  if (Buffer.byteLength(text) > maxMessageBytes)
    throw new RangeError(`a message on ${topic} is longer than ${maxMessageBytes} bytes`);
  return text;
}

/** The listeners of one node. A listener that throws does not affect the others. */
export class BusListeners {
  readonly #byTopic = new Map<string, Set<BusListener>>();
  readonly #onFault: (error: unknown) => void;

  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
  }

  get isEmpty(): boolean {
    return this.#byTopic.size === 0;
  }

  add(topic: string, listener: BusListener): () => void {
    // Each call gets its own entry, because one listener may be subscribed twice.
    const own = { ...listener };
    const listeners = this.#byTopic.get(topic) ?? new Set();
    this.#byTopic.set(topic, listeners.add(own));
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#byTopic.get(topic) === listeners) this.#byTopic.delete(topic);
    };
  }

  /** `text` is the output of `encodeMessage`. Anything else is ignored. */
  deliver(text: string): void {
    const sent = decodeMessage(text);
    if (sent === undefined) return;
    for (const { onMessage } of [...(this.#byTopic.get(sent.topic) ?? [])])
      this.notify(() => onMessage(sent.message));
  }

  notifyGap(): void {
    for (const listeners of [...this.#byTopic.values()])
      for (const { onGap } of [...listeners]) this.notify(onGap);
  }

  clear(): void {
    this.#byTopic.clear();
  }

  notify(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#onFault(error);
    }
  }
}

function decodeMessage(text: string): { readonly topic: string; readonly message: JsonObject } | undefined {
  let sent: unknown;
  try {
    sent = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(sent)) return undefined;
  const [topic, message] = sent as readonly unknown[];
  const isMessage = typeof message === "object" && message !== null && !Array.isArray(message);
  return typeof topic === "string" && isMessage ? { topic, message: message as JsonObject } : undefined;
}

/**
 * The bus of an installation that is one process. NOT covered: messages of a command of the CLI, which is another
 * process.
 */
export function createLocalEventBus(onFault: (error: unknown) => void = () => undefined): EventBus {
  const listeners = new BusListeners(onFault);
  return {
    publish(topic, message) {
      try {
        const text = encodeMessage(topic, message);
        queueMicrotask(() => listeners.deliver(text));
      } catch (error) {
        onFault(error);
      }
    },
    subscribe(topic, listener) {
      const end = listeners.add(topic, listener);
      queueMicrotask(() => listeners.notify(listener.onGap));
      return end;
    },
    async close() {
      listeners.clear();
    },
  };
}
