import { GatewayError, tell } from "./errors.ts";
import type { Wire } from "./wire.ts";

/** The server refused the subscription after a reconnect: it is over. */
export type SubscriptionEnd = (error: GatewayError) => void;

interface Wanted {
  readonly message: Readonly<Record<string, unknown>>;
  readonly onEvent: (event: unknown) => void;
  readonly onEnd: SubscriptionEnd;
}

interface Subscription extends Wanted {
  /** Where it lives now. */
  wire: Wire;
  id: number;
}

/** What an application is subscribed to, over any number of sockets. */
export class Subscriptions {
  readonly #timeoutMs: number;
  readonly #all = new Set<Subscription>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves, when the server has it, to the function that ends it. */
  async add(wire: Wire, wanted: Wanted): Promise<() => Promise<void>> {
    const subscription: Subscription = { ...wanted, wire, id: 0 };
    await this.#send(wire, subscription);
    this.#all.add(subscription);
    return async () => {
      if (this.#all.delete(subscription)) await this.#end(subscription);
    };
  }

  /** After a reconnect: all of them on `wire`. Rejects when the socket is of no use; one that is refused ends alone. */
  async renew(wire: Wire): Promise<void> {
    for (const subscription of this.#all) {
      try {
        await this.#send(wire, subscription);
      } catch (error) {
        if (!(error instanceof GatewayError) || !isRefusal(error)) throw error;
        this.#all.delete(subscription);
        tell(subscription.onEnd, error);
        continue;
      }
      // Ended by the application while it was under way.
      if (!this.#all.has(subscription)) await this.#end(subscription);
    }
  }

  async #send(wire: Wire, subscription: Subscription): Promise<void> {
    const { id, result } = wire.request(subscription.message, this.#timeoutMs, subscription.onEvent);
    subscription.wire = wire;
    subscription.id = id;
    await result;
  }

  /** A socket that is gone took the subscription with it. */
  async #end({ wire, id }: Subscription): Promise<void> {
    wire.forget(id);
    if (!wire.isOpen) return;
    const message = { type: "unsubscribe_events", subscription: id };
    await wire.request(message, this.#timeoutMs).result.catch((error: unknown) => {
      if (!(error instanceof GatewayError) || error.code !== "connection_lost") throw error;
    });
  }
}

/** The server's own word, and one that trying again does not change. */
function isRefusal(error: GatewayError): boolean {
  const passing = [
    "connection_lost",
    "call_timeout",
    "unavailable",
    "overloaded",
    "rate_limited",
    "timeout",
    "conflict",
  ];
  return !passing.includes(error.code);
}
