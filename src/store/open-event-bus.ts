import { createLocalEventBus, type EventBus } from "../auth/event-bus.ts";

export interface OpenEventBusOptions {
  /** The store's URL; without it the installation is one process. */
  readonly url?: string | undefined;
  /** A message was lost before it was sent, or a listener threw. */
  readonly onFault?: (error: unknown) => void;
  /** Whether this node hears the others; the error says why it does not. */
  readonly onHearing?: (hears: boolean, error?: Error) => void;
}

/** The bus that belongs to the store of this URL. It connects when it is used first. */
export async function openEventBus({ url, ...told }: OpenEventBusOptions): Promise<EventBus> {
  if (url === undefined) return createLocalEventBus(told.onFault);
  const { RedisEventBus } = await import("./redis/redis-event-bus.ts");
  return new RedisEventBus({ url, ...told });
}
