import type { Clock } from "../auth/clock.ts";
import { AuthError } from "../auth/errors.ts";
import type { Revocation } from "../auth/revocation/revocation.ts";
import type { LogFollower, Store } from "../auth/store.ts";

export interface RevocationFeed {
  /** False while the log is not known to be in step. */
  readonly following: boolean;
  stop(): Promise<void>;
}

export interface RevocationFeedOptions {
  readonly store: Store;
  readonly revocation: Revocation;
  readonly clock: Clock;
  /** The longest life of an ordinary access token, ms: older cut-offs matter to none of them. */
  readonly longestTokenMs: number;
}

/** Nodes' clocks and the store's may differ, and a commit may be on its way while this node reads. */
const marginMs = 60_000;
const catchUpDeadlineMs = 30_000;

/**
 * Feeds the revocation view from the store's log (D2): everything since the oldest token that may still be shown, then
 * what comes. Settles when the view reaches the present, so that no socket is accepted on less. Lost connections are the
 * follower's to mend; meanwhile `following` is false and the view stops being trusted.
 *
 * The keyring follows the same log: revocation passes `keyring_changed` on.
 */
export async function startRevocationFeed(options: RevocationFeedOptions): Promise<RevocationFeed> {
  const { store, revocation, clock, longestTokenMs } = options;
  const since = clock.now() - longestTokenMs - marginMs;
  const follower = store.follow(since, (entries) => revocation.apply(entries));
  const following = () => follower.following;
  const reached = await caughtUp(follower);
  revocation.setFeed({ since: reached.since, following });
  return {
    get following() {
      return follower.following;
    },
    stop: () => follower.stop(),
  };
}

/** Gives up at the deadline: who starts must not wait for ever for a store that went away meanwhile. */
async function caughtUp(follower: LogFollower): Promise<{ readonly since: number }> {
  const deadline = setTimeout(() => void follower.stop(), catchUpDeadlineMs);
  try {
    return await follower.caughtUp;
  } catch (error) {
    throw new AuthError("unavailable", {
      detail: "the revocation log could not be read in time",
      cause: error,
    });
  } finally {
    clearTimeout(deadline);
  }
}
