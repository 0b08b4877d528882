import type { Clock } from "../auth/clock.ts";
import { heartbeatMs } from "../auth/revocation/lease.ts";
import { embeddedLockHolder } from "../store/embedded/embedded-store.ts";
import type { Config } from "./config/schema.ts";
import type { OpenAuthority } from "./open-authority.ts";

/** How far back heartbeats are read: a node that was silent for longer holds no lease. */
const reachMs = 60_000;

/**
 * Follows the log for a process that serves nobody and writes no heartbeat, so that its receipts say what the gateways'
 * heartbeats show. Without one to read there is nothing that proves that a silent node's lease has run out: it stays
 * pending. Returns the undo. Rejects with `unavailable`.
 */
export async function watchRevocations(
  config: Config,
  { store, authority }: Pick<OpenAuthority, "store" | "authority">,
  clock: Clock,
): Promise<() => Promise<void>> {
  const { revocation } = authority;
  const follower = store.follow(clock.now() - reachMs, revocation.apply, revocation.broke);
  const looking = setInterval(() => void revocation.lease.beat(), heartbeatMs);
  const stop = async () => {
    clearInterval(looking);
    await follower.stop();
  };
  try {
    const [{ since }, { isolationMs }, unheard] = await Promise.all([
      follower.caughtUp,
      store.guarantee(),
      store.kind === "embedded" ? gatewaysOn(config.data) : 0,
    ]);
    revocation.setWatch({ since, isolationMs, unheard });
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A gateway on an embedded store writes heartbeats only to tell that it applied what another process revoked. */
async function gatewaysOn(folder: string): Promise<number> {
  return (await embeddedLockHolder(folder)) === undefined ? 0 : 1;
}
