import type { EventBus } from "../auth/event-bus.ts";
import type { PresenceDirectory } from "../presence/presence-directory.ts";

/** The presence list that belongs to the store of this URL. It connects on first use. */
export async function openPresence(options: {
  readonly url: string;
  readonly node: string;
  readonly events: EventBus;
  /** Called if changes were not written; they are written again. */
  readonly onFault: (error: unknown) => void;
}): Promise<PresenceDirectory> {
  const { RedisPresenceDirectory } = await import("./redis/presence-directory.ts");
  return new RedisPresenceDirectory(options);
}
