import { isRegisteredId } from "../clients/client-id.ts";
import { AuthError } from "../errors.ts";
import type { AssuranceLevel, Principal, Session } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { mergeSteps, type Step } from "../store.ts";
import { readAskingSession } from "./asking-session.ts";
import type { ReadingTools } from "./session-reading.ts";
import { createdVersionOf, sessionPut } from "./session-record.ts";

/** What a session's person has proved beside their login. */
export interface FurtherProof {
  /** RFC 8176 values. */
  readonly amr: readonly string[];
  /** When the person proved it, if that counts as an authentication of its own. Absent: the login's time stays. */
  readonly authenticatedAt?: number | undefined;
}

export interface RaisedSession {
  readonly session: Session;
  /** In conflict if the session has changed or ended meanwhile. */
  readonly step: Step;
}

/** RFC 8176 values of several proofs: all of theirs, and that there were several. */
export function combinedAmr(first: readonly string[], further: readonly string[]): readonly string[] {
  return [...new Set([...first, ...further, "mfa"])];
}

/**
 * The session at assurance level 2, and the step that makes it that. Tokens that were issued before say what it was then.
 * Throws `unauthorized` if the session has ended or is another user's.
 */
export async function raiseSession(
  tools: ReadingTools,
  { userId, sessionId }: Pick<Principal, "userId" | "sessionId">,
  { amr, authenticatedAt }: FurtherProof,
): Promise<RaisedSession> {
  return await changeProof(tools, { userId, sessionId }, (before) => ({
    assurance: 2,
    amr: combinedAmr(before.amr, amr),
    authenticatedAt: authenticatedAt ?? before.authenticatedAt,
  }));
}

/** What a login has proved. */
export interface ProvedLogin {
  readonly assurance: AssuranceLevel;
  /** RFC 8176 values. */
  readonly amr: readonly string[];
  readonly authenticatedAt: number;
}

/**
 * The session after its person has logged in again on it, with the level of that login, and the step that makes it that. A
 * level from before is not kept: its proofs are as old as they were. Nothing else of the session changes. Throws as above.
 */
export async function reprovedSession(
  tools: ReadingTools,
  asking: Pick<Principal, "userId" | "sessionId">,
  { assurance, amr, authenticatedAt }: ProvedLogin,
): Promise<RaisedSession> {
  return await changeProof(tools, asking, () => ({ assurance, amr, authenticatedAt }));
}

async function changeProof(
  tools: ReadingTools,
  { userId, sessionId }: Pick<Principal, "userId" | "sessionId">,
  proofAfter: (before: Session) => ProvedLogin,
): Promise<RaisedSession> {
  const { session: before, checks } = await readAskingSession(tools, userId, sessionId);
  const own = checks.find(({ key }) => key === recordKeys.session(sessionId));
  const session: Session = {
    ...before,
    ...proofAfter(before),
    createdVersion: createdVersionOf({ session: before, version: own?.version ?? 0 }),
  };
  return { session, step: mergeSteps({ check: checks, put: [sessionPut(session)] }) };
}

/** A person decides with a session of their own, not an app that acts for them. Throws `insufficient_scope`. */
export function requireOwnSession({ scope, clientId }: Pick<Principal, "scope" | "clientId">): void {
  if (scope !== null || (clientId !== null && isRegisteredId(clientId)))
    throw new AuthError("insufficient_scope");
}
