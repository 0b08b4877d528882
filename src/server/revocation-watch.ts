import type { Clock } from "../auth/clock/clock.ts";
import { leaseHeartbeatMs } from "../auth/revocation/lease.ts";
import { embeddedLockHolder } from "../store/embedded/embedded-store.ts";
import type { Config } from "./config/schema.ts";
import type { OpenAuthority } from "./open-authority.ts";

/** How far back heartbeats are read, ms: a node that was silent for longer holds no lease. */
const reachMs = 60_000;
/** How long a command waits for the log, and for its follower to end, ms. */
const readMs = 10_000;
const stopMs = 2_000;

/**
 * Follows the log for a process that serves nobody and writes no heartbeat, so that its receipts show what the
 * gateways' heartbeats report. If the log holds no heartbeat of a node, nothing proves that the node's lease has run
 * out, so it stays pending. Returns the undo. If the log cannot be read within 10 s, receipts stay pending, and the
 * command continues.
 */
export async function watchRevocations(
  config: Config,
  { store, authority }: Pick<OpenAuthority, "store" | "authority">,
  clock: Clock,
): Promise<() => Promise<void>> {
  const { revocation } = authority;
  const follower = store.follow(clock.now() - reachMs, revocation.apply, revocation.logBroke);
  const looking = setInterval(() => void revocation.lease.beat(), leaseHeartbeatMs);
  const stop = async () => {
    clearInterval(looking);
    await within(stopMs, follower.stop());
  };
  try {
    const known = await within(
      readMs,
      Promise.all([
        follower.caughtUp,
        store.guarantee(),
        store.kind === "embedded" ? gatewaysOn(config.data) : 0,
      ]),
    );
    if (known !== undefined) {
      const [{ since }, { stalePrimaryWindowMs }, knownNodes] = known;
      revocation.setWatch({ since, stalePrimaryWindowMs, knownNodes });
    }
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The outcome, or undefined after `ms`: a command must not wait for ever for a log. */
async function within<T>(ms: number, outcome: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** On an embedded store, a gateway writes heartbeats only to confirm what another process revoked. */
async function gatewaysOn(folder: string): Promise<number> {
  return (await embeddedLockHolder(folder)) === undefined ? 0 : 1;
}
