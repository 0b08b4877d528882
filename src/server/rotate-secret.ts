import { setTimeout } from "node:timers/promises";

import { AuthError } from "../auth/errors.ts";
import { leaseMs } from "../auth/revocation/lease.ts";
import type { Store } from "../auth/store.ts";
import { wrongSecretDetail } from "../auth/tokens/sealing.ts";
import { rotateSecret } from "../auth/tokens/secret-rotation.ts";
import { openStore } from "../store/open.ts";
import type { Config } from "./config/schema.ts";
import { requireKeys, requireStoreFile } from "./installation.ts";
import { installationSecret, nextSecret, wrongSecretError } from "./secret.ts";

/** How long to listen, ms. A gateway with a lease writes a heartbeat within this time. */
const listenMs = leaseMs + 1_000;

/**
 * Seals the store with a new secret and ends all sessions; see `rotateSecret`. The new secret is on disk before the
 * store is sealed with it, and replaces the old one afterwards, so an interrupted call can be repeated. Returns the
 * file that holds it. Rejects with `AuthError("conflict")` while a gateway runs, with `SecretError` or
 * `InstallationError`.
 */
export async function rotateInstallationSecret(
  config: Config,
  options: { readonly newFile: string | undefined; readonly now: () => number },
): Promise<string> {
  requireStoreFile(config);
  const present = await installationSecret(config, { creates: false });
  const store = await openStore({
    folder: config.data,
    timeoutMs: config.store_timeout_ms,
    // Takes the embedded store's gateway lock, so that no gateway starts meanwhile.
    role: "gateway",
    ...(config.store === null ? {} : { url: config.store }),
  });
  try {
    await requireKeys(store);
    if (store.kind === "redis") await requireNoHeartbeats(store, options.now);
    const next = await nextSecret(config, present, options.newFile);
    const [from, to] = [Buffer.from(present), Buffer.from(next.secret)];
    await rotateSecret({ store, from, to, now: options.now() });
    await next.adopt();
    return next.file;
  } catch (error) {
    const isForeign = error instanceof AuthError && error.detail?.endsWith(wrongSecretDetail);
    throw isForeign ? wrongSecretError(config, error) : error;
  } finally {
    await store.close();
  }
}

/**
 * Listens for heartbeats. NOT noticed: a gateway that cannot reach the store, or a stopped process that continues
 * later.
 */
async function requireNoHeartbeats(store: Store, now: () => number): Promise<void> {
  let caughtUp = false;
  let heard = false;
  const follower = store.follow(now(), (entries) => {
    heard ||= caughtUp && entries.some(({ event }) => event.type === "heartbeat");
  });
  try {
    await follower.caughtUp;
    caughtUp = true;
    const end = performance.now() + listenMs;
    while (!heard && performance.now() < end) await setTimeout(100);
  } finally {
    await follower.stop();
  }
  if (heard) {
    const detail = "a gateway runs on this store: stop every one of them first";
    throw new AuthError("conflict", { publicMessage: detail, detail });
  }
}
