import { AuthError } from "../errors.ts";
import type { Session } from "../model.ts";
import { indexKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { Store } from "../store.ts";
import { type ListingTools, listSessions } from "./session-reading.ts";

/** How many sessions of each kind one user may have. */
export interface SessionCaps {
  /** Normal sessions. One more ends the least recently used ones, see `trimSessions`. */
  readonly sessions: number;
  /** Long-lived tokens. One more is refused. */
  readonly longLivedTokens: number;
}

interface CapTools extends ListingTools {
  readonly caps: SessionCaps;
}

/**
 * Ends a user's sessions beyond the cap, least recently used first, after `opened` was committed; never `opened`
 * itself. If the store does not answer, the next login does it. Two logins at the same time may end one session too
 * many.
 *
 * Finding the least recently used one reads all sessions of the user, which costs several times as much as the login
 * if there are a thousand. So a twentieth of the cap ends together, and the next such logins read none.
 */
export async function trimSessions(
  tools: CapTools & Pick<Revocation, "revoke">,
  opened: Session,
): Promise<void> {
  const { userId, id } = opened;
  const cap = tools.caps.sessions;
  if (opened.type !== "normal") return;
  try {
    if (!(await holdsMoreThan(tools.store, userId, cap))) return;
    const normal = (await listSessions(tools, userId)).filter((session) => session.type === "normal");
    if (normal.length <= cap) return;
    const others = normal.filter((session) => session.id !== id).sort((a, b) => lastUse(a) - lastUse(b));
    const sessionIds = others.slice(0, normal.length - leftBelow(cap)).map((session) => session.id);
    await tools.revoke({ kind: "sessions", userId, sessionIds }, "session_revoked");
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
  }
}

/** Throws `too_many_tokens` if the user has the maximum number of long-lived tokens. */
export async function requireRoomForToken(tools: CapTools, userId: string): Promise<void> {
  const cap = tools.caps.longLivedTokens;
  if (!(await holdsMoreThan(tools.store, userId, cap - 1))) return;
  const sessions = await listSessions(tools, userId);
  const tokens = sessions.filter(({ type }) => type === "long_lived_access_token");
  if (tokens.length >= cap) throw new AuthError("too_many_tokens");
}

function leftBelow(cap: number): number {
  return cap - Math.floor(cap / 20);
}

function lastUse({ lastUsedAt, createdAt }: Session): number {
  return lastUsedAt ?? createdAt;
}

/**
 * Whether the user's index has more than `count` members, of all types and including some ended sessions. Reads no
 * record.
 */
async function holdsMoreThan(store: Store, userId: string, count: number): Promise<boolean> {
  return count !== Number.POSITIVE_INFINITY && (await store.hasMoreThan(indexKeys.sessionsOf(userId), count));
}
