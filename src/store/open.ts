import type { Clock } from "../auth/clock/clock.ts";
import type { Store } from "../auth/store.ts";

export interface OpenStoreOptions {
  /**
   * `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`. Without it the embedded store in `folder` is
   * opened.
   */
  readonly url?: string | undefined;
  readonly folder: string;
  readonly role: "gateway" | "cli";
  /** Deadline of one method of the Redis store, milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** The embedded store's clock. Redis has its own. */
  readonly clock?: Clock | undefined;
  /** How long the log is kept, ms; 48 hours by default. */
  readonly logKeptMs?: number | undefined;
}

/** Picks and loads the adapter. Rejects with an error that an operator can read if the store cannot be used. */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const { url, folder, role, timeoutMs, clock, logKeptMs } = options;
  if (url === undefined) {
    const { openEmbeddedStore } = await import("./embedded/embedded-store.ts");
    return await openEmbeddedStore({
      folder,
      role,
      clock,
      logKeptMs,
    });
  }
  const { openRedisStore } = await import("./redis/redis-store.ts");
  return await openRedisStore({
    url,
    timeoutMs,
    logKeptMs,
  });
}
