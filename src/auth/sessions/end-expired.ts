import { AuthError } from "../errors.ts";
import type { LogEvent, Principal, Session } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { retryConflicts } from "../store.ts";
import type { RefreshTools } from "./refresh.ts";
import { findSession } from "./session-reading.ts";
import { createdVersionOf, epochChecks, sessionPut } from "./session-record.ts";

/** Ends a session that has expired; see `Sessions.expireIfDue`. */
export async function expireIfDue(
  tools: RefreshTools,
  sessionId: string,
): Promise<number | null | undefined> {
  const found = await findSession(tools, sessionId);
  if (found === undefined || found.state === "dead") return undefined;
  if (found.state === "live") return found.session.expiresAt;
  const target = { kind: "sessions", userId: found.session.userId, sessionIds: [sessionId] } as const;
  await tools.revoke(target, "session_expired");
  return undefined;
}

/** Home Assistant's `auth/refresh_token_set_expiry`: of a normal session, by its own user. */
export async function setExpiry(
  tools: RefreshTools,
  principal: Principal,
  sessionId: string,
  enabled: boolean,
): Promise<void> {
  await retryConflicts(async () => {
    const found = await findSession(tools, sessionId);
    const theirs = found?.state === "live" && found.session.userId === principal.userId;
    if (found === undefined || !theirs || found.session.type !== "normal")
      throw new AuthError("invalid_token_id");
    const session = withExpiry(found.session, enabled, tools);
    if (session === undefined) return true;
    const { userId } = session;
    const event: LogEvent = { type: "session_changed", userId, sessionId };
    const outcome = await tools.revocation.commit({
      check: [
        { key: recordKeys.session(sessionId), version: found.version },
        ...epochChecks(session, found.epochs),
      ],
      put: [sessionPut({ ...session, createdVersion: createdVersionOf(found) })],
      log: [{ ...event }],
    });
    return outcome.ok ? true : undefined;
  });
}

/** Undefined: nothing changes. If switched on, the expiry counts from the last use, as in Home Assistant. */
function withExpiry(session: Session, enabled: boolean, tools: RefreshTools): Session | undefined {
  if (enabled === (session.expiresAt !== null)) return undefined;
  if (!enabled) return { ...session, expiresAt: null };
  return { ...session, expiresAt: (session.lastUsedAt ?? tools.clock.now()) + tools.sessionIdleMs };
}
