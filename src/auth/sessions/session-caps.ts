import { AuthError } from "../errors.ts";
import type { Session } from "../model.ts";
import { indexKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { Store } from "../store.ts";
import { type ListingTools, listSessions } from "./session-reading.ts";

/** How many sessions of each kind one user may have. */
export interface SessionCaps {
  /** Normal sessions. One more ends the least recently used one. */
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
    const sessionIds = others.slice(0, normal.length - cap).map((session) => session.id);
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

function lastUse({ lastUsedAt, createdAt }: Session): number {
  return lastUsedAt ?? createdAt;
}

const maxPageSize = 1000;

/**
 * Whether the user's index has more than `count` members, of all types and including some ended sessions. Reads no
 * record.
 */
async function holdsMoreThan(store: Store, userId: string, count: number): Promise<boolean> {
  let left = count;
  let after: string | undefined;
  for (;;) {
    if (left === Number.POSITIVE_INFINITY) return false;
    const limit = Math.min(maxPageSize, left + 1);
    const from = after === undefined ? {} : { after };
    const page = await store.list(indexKeys.sessionsOf(userId), { limit, ...from });
    if (page.length < limit) return false;
    left -= page.length;
    if (left < 0) return true;
    after = page.at(-1);
  }
}
