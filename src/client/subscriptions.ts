import { isSubscription } from "../../protocol/subscriptions.ts";
import { GatewayError, tell } from "./errors.ts";
import type { MessageSocket } from "./message-socket.ts";

/** A subscription has ended by itself; it is not renewed any more. `error` says why. */
export type SubscriptionEnd = (error: GatewayError) => void;

export interface WantedEvents {
  readonly message: Readonly<Record<string, unknown>> & { readonly type: string };
  readonly onEvent: (event: unknown) => void;
  readonly onEnd: SubscriptionEnd;
}

/** A user as the access token names it (`sub`). Undefined if the token cannot be read. */
export type Subject = string | undefined;

interface Subscription extends WantedEvents {
  /** Who made it. Nobody else's socket may send it again. */
  readonly subject: Subject;
  /** Where it lives now. */
  wire: MessageSocket;
  id: number;
  /** The last event has come. */
  done: boolean;
}

/**
 * What an application listens to, over any number of sockets of one user. Only messages that the protocol declares
 * subscriptions are sent again on a new socket: any other message with events is a command, and was carried out once.
 */
export class Subscriptions {
  readonly #timeoutMs: number;
  readonly #all = new Set<Subscription>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves, when the server has it, to the function that ends it. */
  async add(wire: MessageSocket, subject: Subject, wanted: WantedEvents): Promise<() => Promise<void>> {
    const subscription: Subscription = { ...wanted, subject, wire, id: 0, done: false };
    await this.#send(wire, subscription);
    if (!wire.isOpen) throw new GatewayError("connection_lost", "The socket closed behind the answer");
    if (!subscription.done) this.#all.add(subscription);
    return async () => {
      if (this.#all.delete(subscription)) await this.#end(subscription);
    };
  }

  /** The socket is gone, and another one comes: what cannot be renewed ends now. */
  lost(error: GatewayError): void {
    for (const subscription of this.#all)
      if (!isSubscription(subscription.message.type)) this.#over(subscription, error);
  }

  /** The client is not what it was: closed, logged out, or another login. */
  endAll(error: GatewayError): void {
    for (const subscription of this.#all) this.#over(subscription, error);
  }

  /** After a reconnect: all of `subject`'s on `wire`. Rejects when the socket is of no use; one that is refused ends alone. */
  async renew(wire: MessageSocket, subject: Subject): Promise<void> {
    for (const subscription of this.#all) {
      if (subscription.subject !== subject) {
        this.#over(subscription, new GatewayError("not_connected", "Somebody else is logged in now"));
        continue;
      }
      try {
        await this.#send(wire, subscription);
      } catch (error) {
        if (!(error instanceof GatewayError) || !isRefusal(error)) throw error;
        this.#over(subscription, error);
        continue;
      }
      // Ended by the application while it was under way.
      if (!this.#all.has(subscription)) await this.#end(subscription);
    }
  }

  async #send(wire: MessageSocket, subscription: Subscription): Promise<void> {
    const onEvent = (event: unknown) => {
      tell(subscription.onEvent, event);
      if (!isLast(event)) return;
      subscription.done = true;
      this.#all.delete(subscription);
    };
    const { id, result } = wire.request(subscription.message, this.#timeoutMs, onEvent);
    subscription.wire = wire;
    subscription.id = id;
    await result;
  }

  #over(subscription: Subscription, error: GatewayError): void {
    if (!this.#all.delete(subscription)) return;
    subscription.wire.forget(subscription.id);
    tell(subscription.onEnd, error);
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

/** Commands with events mark the last one, as `gatehouse/revoke` does. */
function isLast(event: unknown): boolean {
  return typeof event === "object" && event !== null && "done" in event && event.done === true;
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
