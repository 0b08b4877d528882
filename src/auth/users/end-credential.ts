import type { Credential, LogEvent } from "../model.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { mergeSteps, type Step } from "../store.ts";
import type { Credentials } from "./credentials.ts";

export interface EndCredentialTools {
  readonly credentials: Pick<Credentials, "unlinkStep">;
  readonly sessions: Pick<Sessions, "list">;
  readonly revocation: Pick<Revocation, "revoke">;
}

/**
 * One commit removes the credential, ends its sessions and carries out `also`. Whatever opens a session with it checks
 * its record. A session that was opened between the list and the commit ends after it. Throws `conflict` if a check of
 * `also` fails.
 */
export async function endCredential(
  tools: EndCredentialTools,
  credential: Credential,
  also: Step,
): Promise<void> {
  const { id: credentialId, userId } = credential;
  const event: LogEvent = { type: "login_changed", userId, credentialId, change: "removed", except: null };
  const removal = mergeSteps(also, tools.credentials.unlinkStep(credential), { log: [{ ...event }] });
  const revoke = async (sessionIds: readonly string[], step: Step = {}) =>
    await tools.revocation.revoke({ kind: "sessions", userId, sessionIds }, "credential_removed", {
      also: step,
    });
  await revoke(await sessionsOf(tools, credential), removal);
  const late = await sessionsOf(tools, credential);
  if (late.length > 0) await revoke(late);
}

/** Long-lived tokens are created by the user, not by a login, so they are not of a credential. */
async function sessionsOf(
  { sessions }: EndCredentialTools,
  { id, userId }: Credential,
): Promise<readonly string[]> {
  const owned = await sessions.list(userId);
  return owned
    .filter(({ credentialId, type }) => credentialId === id && type === "normal")
    .map((session) => session.id);
}
