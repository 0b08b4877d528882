import { AuthError } from "../errors.ts";
import type { Session } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { Checks } from "../store.ts";
import { findSession, type ReadingTools } from "./session-reading.ts";
import { epochChecks } from "./session-record.ts";

export interface AskingSession {
  readonly session: Session;
  readonly checks: Checks;
}

/**
 * The session that asks for a change, and checks for the commit of that change: the session is still live. Throws
 * `unauthorized` if it has ended or is another user's.
 */
export async function readAskingSession(
  tools: ReadingTools,
  userId: string,
  sessionId: string,
): Promise<AskingSession> {
  const found = await findSession(tools, sessionId);
  if (found?.state !== "live" || found.session.userId !== userId) throw new AuthError("unauthorized");
  const { session, version, epochs } = found;
  return {
    session,
    checks: [{ key: recordKeys.session(sessionId), version }, ...epochChecks(session, epochs)],
  };
}

/** The checks alone. */
export async function askingSessionChecks(
  tools: ReadingTools,
  userId: string,
  sessionId: string,
): Promise<Checks> {
  return (await readAskingSession(tools, userId, sessionId)).checks;
}
