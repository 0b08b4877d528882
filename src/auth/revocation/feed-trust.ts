import type { Clock } from "../clock.ts";

/** How long the view is believed after the feed was last known to be in step (D2's L). */
export const trustMs = 3_000;

/** Whether this node may believe its revocation view: the one question that the lease will answer instead. */
export interface FeedTrust {
  /** No feed has caught up yet, or it has not been following for 3 s: false. No timer; asked on every use. */
  holds(): boolean;
  /** A feed that has caught up takes over. */
  rests(following: () => boolean): void;
}

export function createFeedTrust(clock: Clock): FeedTrust {
  let following: (() => boolean) | undefined;
  let knownGoodAt = 0;
  return {
    holds() {
      if (following === undefined) return false;
      const now = clock.monotonic();
      if (following()) knownGoodAt = now;
      return now - knownGoodAt < trustMs;
    },
    rests(next) {
      following = next;
      knownGoodAt = clock.monotonic();
    },
  };
}
