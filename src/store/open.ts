import type { Clock } from "../auth/clock.ts";
import type { Store } from "../auth/store.ts";

export interface OpenStoreOptions {
  /** `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`; without it the embedded store in `folder`. */
  readonly url?: string;
  readonly folder: string;
  readonly role: "gateway" | "cli";
  /** Deadline of one method of the Redis store, milliseconds. */
  readonly timeoutMs?: number;
  /** The embedded store's time; Redis has its own. */
  readonly clock?: Clock;
}

/** Picks and loads the adapter. Rejects with a message for people when the store cannot be used. */
export async function openStore({ url, folder, role, timeoutMs, clock }: OpenStoreOptions): Promise<Store> {
  if (url === undefined) {
    const { openEmbeddedStore } = await import("./embedded/embedded-store.ts");
    return await openEmbeddedStore({ folder, role, ...(clock === undefined ? {} : { clock }) });
  }
  const { openRedisStore } = await import("./redis/redis-store.ts");
  return await openRedisStore({ url, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
}
