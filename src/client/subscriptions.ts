import { isSubscription } from "../../protocol/subscriptions.ts";
import { GatewayError } from "./errors.ts";
import type { MessageSocket } from "./message-socket.ts";

/** Called if a subscription ends by itself; it is not renewed. `error` says why. */
export type SubscriptionEnd = (error: GatewayError) => void;

export interface WantedEvents {
  /** What is sent on each socket. */
  message(): Readonly<Record<string, unknown>> & { readonly type: string };
  /** The server's answer on each socket, before its events. */
  onResult?(result: unknown): void;
  onEvent(event: unknown): void;
  onEnd(error: GatewayError): void;
}

/** A user as the access token names it (`sub`). Undefined if the token cannot be read. */
export type Subject = string | undefined;

interface Subscription {
  readonly wanted: WantedEvents;
  /** The user who made it. It is never sent on another user's socket. */
  readonly subject: Subject;
  /** The socket that it is on now. */
  socket: MessageSocket;
  id: number;
  /** The last event has arrived. */
  done: boolean;
}

/**
 * An application's subscriptions, across all sockets of one user. Only messages that the protocol declares
 * subscriptions are sent again on a new socket. Any other message with events is a command, and was carried out once.
 */
export class Subscriptions {
  readonly #timeoutMs: number;
  readonly #all = new Set<Subscription>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves to the function that ends it, once the server has confirmed it. */
  async add(socket: MessageSocket, subject: Subject, wanted: WantedEvents): Promise<() => Promise<void>> {
    const subscription: Subscription = { wanted, subject, socket, id: 0, done: false };
    await this.#send(socket, subscription);
    if (!socket.isOpen) throw new GatewayError("connection_lost", "The socket closed after the answer");
    if (!subscription.done) this.#all.add(subscription);
    return async () => {
      if (this.#all.delete(subscription)) await this.#end(subscription);
    };
  }

  /** The socket is lost and will be replaced: what cannot be renewed ends now. */
  lost(error: GatewayError): void {
    for (const subscription of this.#all)
      if (!isSubscription(subscription.wanted.message().type)) this.#over(subscription, error);
  }

  /** The client was closed or logged out, or another login began. */
  endAll(error: GatewayError): void {
    for (const subscription of this.#all) this.#over(subscription, error);
  }

  /**
   * After a reconnect: sends all subscriptions of `subject` on `socket`. Rejects if the socket fails. A refused
   * subscription ends alone.
   */
  async renew(socket: MessageSocket, subject: Subject): Promise<void> {
    for (const subscription of this.#all) {
      if (subscription.subject !== subject) {
        this.#over(subscription, new GatewayError("not_connected", "Another user is logged in now"));
        continue;
      }
      try {
        await this.#send(socket, subscription);
      } catch (error) {
        if (!(error instanceof GatewayError) || !isRefusal(error)) throw error;
        this.#over(subscription, error);
        continue;
      }
      // The application ended it while the request was in progress.
      if (!this.#all.has(subscription)) await this.#end(subscription);
    }
  }

  async #send(socket: MessageSocket, subscription: Subscription): Promise<void> {
    const { wanted } = subscription;
    const onEvent = (event: unknown) => {
      wanted.onEvent(event);
      if (!isLast(event)) return;
      subscription.done = true;
      this.#all.delete(subscription);
    };
    const { id, result } = socket.request(wanted.message(), this.#timeoutMs, onEvent);
    subscription.socket = socket;
    subscription.id = id;
    const answer = await result;
    wanted.onResult?.(answer);
  }

  #over(subscription: Subscription, error: GatewayError): void {
    if (!this.#all.delete(subscription)) return;
    subscription.socket.forget(subscription.id);
    subscription.wanted.onEnd(error);
  }

  /** A subscription ends with its socket. */
  async #end({ socket, id }: Subscription): Promise<void> {
    socket.forget(id);
    if (!socket.isOpen) return;
    const message = { type: "unsubscribe_events", subscription: id };
    await socket.request(message, this.#timeoutMs).result.catch((error: unknown) => {
      if (!(error instanceof GatewayError) || error.code !== "connection_lost") throw error;
    });
  }
}

/** The last event of a command, as of `gatehouse/revoke`, or of a subscription that the server ends. */
function isLast(event: unknown): boolean {
  if (typeof event !== "object" || event === null) return false;
  return (
    ("done" in event && event.done === true) || ("subscription" in event && event.subscription === "ended")
  );
}

/** The server itself answered, and a retry does not change the answer. */
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
