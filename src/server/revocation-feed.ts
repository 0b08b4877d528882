import type { Clock } from "../auth/clock/clock.ts";
import { AuthError } from "../auth/errors.ts";
import { leaseHeartbeatMs } from "../auth/revocation/lease.ts";
import type { Revocation } from "../auth/revocation/revocation.ts";
import { logReachMs } from "../auth/revocation/view.ts";
import type { LogFollower, Store } from "../auth/store.ts";

export interface RevocationFeed {
  /** False while the node cannot be sure that it has read the whole log. */
  readonly following: boolean;
  /** Announces that this node serves nobody any more, if the store can still be reached, and stops. */
  stop(): Promise<void>;
}

export interface RevocationFeedOptions {
  readonly store: Store;
  readonly revocation: Revocation;
  readonly clock: Clock;
  /** The longest lifetime of an ordinary access token, ms: older revocations matter to none of them. */
  readonly longestTokenMs: number;
}

const startDeadlineMs = 30_000;

/**
 * Feeds the revocation view from the store's log: first everything since the issue of the oldest token that may still
 * be valid, then each new entry. Also keeps the node's lease. Settles once the view has caught up and is trusted, so
 * that no socket is accepted before. The follower recovers lost connections; meanwhile the lease runs out.
 *
 * The keyring follows the same log: revocation passes `keyring_changed` on.
 */
export async function startRevocationFeed(options: RevocationFeedOptions): Promise<RevocationFeed> {
  const { store, revocation, clock, longestTokenMs } = options;
  const { lease } = revocation;
  const follower = store.follow(
    clock.now() - logReachMs(longestTokenMs),
    revocation.apply,
    revocation.logBroke,
  );
  let beating: NodeJS.Timeout | undefined;
  const begin = async () => {
    const { since } = await follower.caughtUp;
    revocation.setFeed({ since, follower });
    void lease.beat();
    beating = setInterval(() => void lease.beat(), leaseHeartbeatMs).unref();
    await lease.started;
  };
  const end = async () => {
    clearInterval(beating);
    await follower.stop();
  };
  try {
    await withinDeadline(begin(), follower);
  } catch (error) {
    await end();
    throw error;
  }
  return {
    get following() {
      return follower.following;
    },
    async stop() {
      clearInterval(beating);
      // If it cannot be written, the other nodes notice when the lease runs out.
      await lease.leave().catch(() => undefined);
      await end();
    },
  };
}

/** A start must not wait for ever for a store that became unavailable, or for a lease that nothing renews. */
async function withinDeadline(begun: Promise<void>, follower: LogFollower): Promise<void> {
  let deadline: NodeJS.Timeout | undefined;
  let isLate = false;
  const late = new Promise<never>((_, reject) => {
    deadline = setTimeout(() => {
      isLate = true;
      reject(new Error(`${startDeadlineMs / 1000} s have passed`));
      void follower.stop();
    }, startDeadlineMs);
  });
  try {
    await Promise.race([begun, late]);
  } catch (error) {
    const why = error instanceof AuthError && !isLate ? error.detail : undefined;
    throw new AuthError("unavailable", {
      detail:
        why === undefined
          ? "the revocation log could not be read in time, or no lease was obtained"
          : `the revocation log cannot be read: ${why}`,
      cause: error,
    });
  } finally {
    clearTimeout(deadline);
  }
}
