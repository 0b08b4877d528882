import type { Clock } from "../clock.ts";
import { createKeyedTurns } from "../keyed-turns.ts";
import type { LoopSlices } from "../loop-slices.ts";
import type { Weakened } from "../protections.ts";
import type { Journal } from "../revocation/journal.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { Store } from "../store.ts";
import type { AccessTokens } from "../tokens/access-tokens.ts";
import type { RefreshTokens } from "../tokens/refresh-tokens.ts";
import { openLongLived } from "./long-lived-opening.ts";
import { type SessionCaps, trimSessions } from "./session-caps.ts";
import { expireIfDue, setExpiry } from "./session-expiry.ts";
import { openSession } from "./session-opening.ts";
import { findSession, listSessions, pageOfSessions } from "./session-reading.ts";
import { createRefresh } from "./session-refresh.ts";
import type { Sessions } from "./sessions.ts";

export interface SessionsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Revocation & Journal;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly weakened?: Weakened;
  /** Life of an access token, ms; 30 minutes by default (Home Assistant's). */
  readonly accessTokenTtlMs?: number;
  /** Life of a session that is not used, ms; 90 days by default (Home Assistant's). */
  readonly sessionIdleMs?: number;
  readonly slices: LoopSlices;
  /** No caps by default. */
  readonly caps?: Partial<SessionCaps>;
}

export const defaultAccessTokenTtlMs = 30 * 60_000;
export const defaultSessionIdleMs = 90 * 86_400_000;

const noCaps: SessionCaps = {
  sessions: Number.POSITIVE_INFINITY,
  longLivedTokens: Number.POSITIVE_INFINITY,
};

export function createSessions(options: SessionsOptions): Sessions {
  const { store, clock, revocation } = options;
  const { accessTokenTtlMs = defaultAccessTokenTtlMs, sessionIdleMs = defaultSessionIdleMs } = options;
  const { accessTokens, refreshTokens } = options;
  const tools = {
    ...{ store, clock, revocation, revoke: revocation.revoke },
    ...{ accessTokens, refreshTokens, accessTokenTtlMs, sessionIdleMs },
    weakened: options.weakened ?? new Set(),
    slices: options.slices,
    caps: { ...noCaps, ...options.caps },
  };
  // So that the tokens that one user asks for at once are counted one after another.
  const openings = createKeyedTurns();
  const live = async (sessionId: string) => {
    const found = await findSession(tools, sessionId);
    return found?.state === "live" ? found.session : undefined;
  };
  return {
    async open(request) {
      const grant = await openSession(tools, request);
      await trimSessions(tools, grant.session);
      return grant;
    },
    openLongLived: (request) => openings.run(request.userId, () => openLongLived(tools, request)),
    refresh: createRefresh(tools),
    async ofRefreshToken(refreshToken) {
      const token = refreshTokens.read(refreshToken);
      return token && (await live(token.sessionId));
    },
    get: live,
    listOf: (userId) => listSessions(tools, userId),
    pageOf: (userId, page) => pageOfSessions(tools, userId, page),
    setExpiry: (principal, sessionId, enabled) => setExpiry(tools, principal, sessionId, enabled),
    expireIfDue: (sessionId) => expireIfDue(tools, sessionId),
  };
}
