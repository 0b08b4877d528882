import type { Handler } from "../../../protocol/flow.ts";
import { AuthError } from "../errors.ts";
import { recordKeys } from "../record-keys.ts";
import { askingSessionChecks } from "../sessions/asking-session.ts";
import { type Checks, mergeSteps, retryConflicts, type Step } from "../store.ts";
import { isActive } from "../users/account-status.ts";
import { newCredential } from "../users/credentials.ts";
import type { PersonTools } from "./find-person.ts";
import { endFlowStep, type VersionedFlow } from "./flow-record.ts";
import type { AbortReason } from "./flow-steps.ts";
import type { Proof } from "./proof.ts";

/** The session that asks for a link. */
export interface LinkingSession {
  readonly userId: string;
  readonly sessionId: string;
}

export interface ProvedLogin {
  readonly handler: Handler;
  readonly proof: Proof;
}

export type LinkOutcome =
  | { readonly kind: "granted"; readonly result: string }
  | {
      readonly kind: "not_linked";
      readonly reason: Extract<AbortReason, "not_allowed" | "credential_exists" | "credential_in_use">;
    };

/**
 * Ends the flow and links the credential that was proved to the user who asked, see `linkProved`. Throws `conflict` if
 * the flow itself was continued or ended elsewhere.
 */
export async function finishLink(tools: PersonTools, at: VersionedFlow, proof: Proof): Promise<LinkOutcome> {
  const { handler, linking } = at.flow;
  if (linking === null) throw new RangeError("a flow that links for nobody");
  return await linkProved(tools, linking, { handler, proof }, endFlowStep(at));
}

/**
 * Links a credential that was proved to the user who asks and carries out `also`, in one commit. So a credential belongs
 * to one user, a user has one credential of a provider, and nothing is linked for a user or a session that has lost its
 * rights meanwhile. Throws `conflict` if a check of `also` fails.
 */
export async function linkProved(
  tools: PersonTools,
  linking: LinkingSession,
  { handler, proof }: ProvedLogin,
  also: Step,
): Promise<LinkOutcome> {
  // A provider that names the user itself proves no other one.
  if (proof.linkTo !== undefined && proof.linkTo !== linking.userId) return notLinked("not_allowed");
  const taken = await tools.credentials.find(handler[0], handler[1], proof.subject);
  if (taken !== undefined)
    return notLinked(taken.credential.userId === linking.userId ? "credential_exists" : "credential_in_use");
  const credential = {
    ...newCredential(tools.clock, handler, proof.subject, linking.userId),
    linked: true,
  };
  const link = tools.credentials.linkStep(credential);
  const keysOf = (checks: Checks = []) => new Set(checks.map(({ key }) => key));
  const [ownKeys, linkKeys] = [keysOf(also.check), keysOf(link.check)];
  return await retryConflicts<LinkOutcome>(async () => {
    const checks = await whoAsksChecks(tools, linking);
    if (checks === undefined) return notLinked("not_allowed");
    const decidedOn = { check: [...proof.evidence, ...checks] };
    const outcome = await tools.store.commit(mergeSteps(also, decidedOn, link));
    if (outcome.ok) return { kind: "granted", result: credential.id };
    if (ownKeys.has(outcome.conflict)) throw new AuthError("conflict");
    if (linkKeys.has(outcome.conflict)) return notLinked("credential_exists");
    // The session was refreshed, or the user changed: look again. What was proved does not change back.
    return checks.some(({ key }) => key === outcome.conflict) ? undefined : notLinked("not_allowed");
  });
}

function notLinked(reason: Extract<LinkOutcome, { kind: "not_linked" }>["reason"]): LinkOutcome {
  return { kind: "not_linked", reason };
}

/** Undefined: the session has ended, or the user may not act any more. */
async function whoAsksChecks(
  tools: PersonTools,
  { userId, sessionId }: LinkingSession,
): Promise<Checks | undefined> {
  const user = await tools.users.read(userId);
  if (user === undefined || !isActive(user.user) || user.user.systemGenerated) return undefined;
  try {
    const ofSession = await askingSessionChecks(tools, userId, sessionId);
    return [{ key: recordKeys.user(userId), version: user.version }, ...ofSession];
  } catch (error) {
    if (error instanceof AuthError && error.code === "unauthorized") return undefined;
    throw error;
  }
}
