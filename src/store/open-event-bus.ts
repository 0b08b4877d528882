import { createLocalEventBus, type EventBus } from "../auth/event-bus.ts";

export interface OpenEventBusOptions {
  /** The store's URL. Without it the installation is one process. */
  readonly url?: string | undefined;
  /** Called if a message was lost before it was sent, or a listener threw. */
  readonly onFault?: (error: unknown) => void;
  /** Called with whether this node receives the other nodes' messages; the error says why it does not. */
  readonly onReceiving?: (receives: boolean, error?: Error) => void;
}

/** The bus that belongs to the store of this URL. It connects on first use. */
export async function openEventBus({ url, ...callbacks }: OpenEventBusOptions): Promise<EventBus> {
  if (url === undefined) return createLocalEventBus(callbacks.onFault);
  const { RedisEventBus } = await import("./redis/redis-event-bus.ts");
  return new RedisEventBus({ url, ...callbacks });
}
