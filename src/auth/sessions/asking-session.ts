import { AuthError } from "../errors.ts";
import { recordKeys } from "../record-keys.ts";
import type { Checks } from "../store.ts";
import { findSession, type ReadingTools } from "./session-reading.ts";
import { epochChecks } from "./session-record.ts";

/**
 * Checks for the commit of a change that a session asks for: the session is still live. Throws `unauthorized` if it has
 * ended or is another user's.
 */
export async function askingSessionChecks(
  tools: ReadingTools,
  userId: string,
  sessionId: string,
): Promise<Checks> {
  const found = await findSession(tools, sessionId);
  if (found?.state !== "live" || found.session.userId !== userId) throw new AuthError("unauthorized");
  const { session, version, epochs } = found;
  return [{ key: recordKeys.session(sessionId), version }, ...epochChecks(session, epochs)];
}
