import { randomUUID } from "node:crypto";

import { BusListeners, type EventBus, encodeMessage } from "../../auth/event-bus.ts";
import { parseRedisUrl, type RedisAddress } from "./address.ts";
import { BusSubscription } from "./bus-subscription.ts";
import { withDeadline } from "./client.ts";
import { redisUnavailable } from "./faults.ts";
import { redisKeys } from "./keys.ts";
import { LazyClient } from "./lazy-client.ts";

export interface RedisEventBusOptions {
  /** See `parseRedisUrl`. */
  readonly url: string;
  /** The store's prefix; `gatehouse` by default. */
  readonly prefix?: string;
  /** Called if a message was lost before it was sent, or a listener threw. */
  readonly onFault?: (error: unknown) => void;
  /** Called with whether this node receives the other nodes' messages; the error says why it does not. */
  readonly onReceiving?: (receives: boolean, error?: Error) => void;
}

/** Messages that may wait for Redis' answer. Beyond it, a message is lost. */
const maxUnsent = 1_000;
const closeMs = 500;

/**
 * The event bus over Redis' sharded pub/sub. In a Cluster all channels are in the slot of the store's keys, so a
 * message goes to one server only. The bus has two connections of its own, opened for the first message and for the
 * first listener. A message reaches the listeners of its own node without Redis.
 */
export class RedisEventBus implements EventBus {
  readonly #address: RedisAddress;
  readonly #client: LazyClient;
  readonly #keys: ReturnType<typeof redisKeys>;
  readonly #options: RedisEventBusOptions;
  readonly #listeners: BusListeners;
  /** Distinguishes this node's messages from other nodes'. */
  readonly #id = randomUUID();
  readonly #unsent = new Set<Promise<unknown>>();
  #subscription: BusSubscription | undefined;
  #isClosed = false;

  /** Connects to nothing yet. Throws if the URL is invalid. */
  constructor(options: RedisEventBusOptions) {
    this.#options = options;
    this.#address = parseRedisUrl(options.url);
    this.#client = new LazyClient(this.#address);
    this.#keys = redisKeys(options.prefix);
    this.#listeners = new BusListeners((error) => this.#fault(error));
  }

  publish(topic: string, message: Parameters<EventBus["publish"]>[1]): void {
    try {
      if (this.#isClosed) throw new Error("the event bus is closed");
      const text = encodeMessage(topic, message);
      queueMicrotask(() => this.#listeners.deliver(text));
      if (this.#unsent.size >= maxUnsent) throw new Error("too many messages wait to be sent");
      this.#send(this.#keys.events, `${this.#id} ${text}`).catch((error: unknown) =>
        this.#fault(redisUnavailable(error, this.#address.masked)),
      );
    } catch (error) {
      this.#fault(error);
    }
  }

  subscribe(topic: string, listener: Parameters<EventBus["subscribe"]>[1]): () => void {
    const end = this.#listeners.add(topic, listener);
    if (this.#isClosed) return end;
    this.#subscription ??= this.#listen();
    if (this.#subscription.isReceiving) queueMicrotask(() => this.#listeners.notify(listener.onGap));
    return end;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listeners.clear();
    await this.#subscription?.stop();
    await withDeadline(Promise.allSettled(this.#unsent), closeMs, "not sent").catch(() => undefined);
    await this.#client.disconnect();
  }

  #listen(): BusSubscription {
    const probe = this.#keys.probe(this.#id);
    return new BusSubscription({
      channels: [this.#keys.events, probe],
      connect: () => this.#client.subscriber(this.#keys.events),
      sendProbe: (text) => void this.#send(probe, text).catch(() => undefined),
      isProbe: (channel) => channel === probe,
      onText: (text) => this.#receive(text),
      onReceiving: (receives, error) => {
        this.#options.onReceiving?.(receives, error && redisUnavailable(error, this.#address.masked));
        if (receives) this.#listeners.notifyGap();
      },
    });
  }

  #receive(text: string): void {
    const blank = text.indexOf(" ");
    if (text.slice(0, blank) !== this.#id) this.#listeners.deliver(text.slice(blank + 1));
  }

  #send(channel: string, text: string): Promise<unknown> {
    const sending = this.#client.get().then((client) => client.call("spublish", channel, text));
    this.#unsent.add(sending);
    const sent = () => void this.#unsent.delete(sending);
    sending.then(sent, sent);
    return sending;
  }

  #fault(error: unknown): void {
    this.#options.onFault?.(error);
  }
}
