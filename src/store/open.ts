import type { Clock } from "../auth/clock.ts";
import type { Store } from "../auth/store.ts";
import { openEmbeddedStore } from "./embedded/embedded-store.ts";

export interface OpenStoreOptions {
  /** `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`; without it the embedded store in `folder`. */
  readonly url?: string;
  readonly folder: string;
  readonly role: "gateway" | "cli";
  /** Deadline of one Redis command, milliseconds. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

/** Picks the adapter. Rejects with a message for people when the store cannot be used. */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  return openEmbeddedStore({
    folder: options.folder,
    role: options.role,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
}
