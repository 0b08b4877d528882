import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Principal } from "../model.ts";

export const defaultRecentLoginMs = 15 * 60_000;

/**
 * The rule for changes by which somebody who found an unlocked device could take an account over: the person must have
 * logged in a short time ago. A refresh is no login, and neither is the use of a long-lived or a system token, nor a login
 * that proved nothing of the person (trusted networks: no authentication method).
 */
export interface RecentLogin {
  /** Throws `recent_login_required`. */
  require(principal: Pick<Principal, "sessionType" | "authenticatedAt" | "amr">): void;
}

export function createRecentLogin(options: {
  readonly clock: Clock;
  /** How long a login counts as recent, ms; 15 minutes by default. */
  readonly windowMs?: number | undefined;
}): RecentLogin {
  const { clock, windowMs = defaultRecentLoginMs } = options;
  return {
    require({ sessionType, authenticatedAt, amr }) {
      // A time further ahead than this was read from a clock that was wrong, so it proves nothing.
      const recent = Math.abs(clock.now() - authenticatedAt) <= windowMs;
      if (sessionType !== "normal" || amr.length === 0 || !recent)
        throw new AuthError("recent_login_required");
    },
  };
}
