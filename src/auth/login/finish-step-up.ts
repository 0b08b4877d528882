import { AuthError } from "../errors.ts";
import { type Demand, isBelow } from "../factors/assurance.ts";
import type { AssuranceLevel, Peer, User } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { reprovedSession } from "../sessions/raise-session.ts";
import { areUnchanged, type Checks, mergeSteps, retryConflicts } from "../store.ts";
import { mayLogIn } from "../users/account-status.ts";
import { userStatusChecks } from "../users/user-record.ts";
import type { PersonTools } from "./find-person.ts";
import type { FinishTools } from "./finish-login.ts";
import { endFlowStep, type Flow, flowChecks, type VersionedFlow } from "./flow-record.ts";
import type { Proof } from "./proof.ts";
import { provesPerson } from "./ways.ts";

export type StepUpOutcome =
  | { readonly kind: "granted"; readonly result: string }
  | { readonly kind: "refused" }
  | { readonly kind: "below"; readonly user: User; readonly demand: Demand };

/** What the flow itself asks for, or policy if that is more. */
export function withLevelOf({ level = 1 }: Pick<Flow, "level">, demand: Demand): Demand {
  return { ...demand, level: Math.max(level, demand.level) as AssuranceLevel };
}

/**
 * Ends the flow and makes the session that asked as good as what was proved, in one commit: the same session of the same
 * user, with another time and other methods of its login. A proof of another user, or of nothing that only the person has or
 * knows, is refused like a wrong password, and changes nothing. Throws `conflict` if the flow itself was continued or ended
 * elsewhere, and `unauthorized` if the session has ended.
 */
export async function finishStepUp(
  tools: FinishTools,
  at: VersionedFlow,
  proof: Proof,
  peer: Peer,
): Promise<StepUpOutcome> {
  const { linking } = at.flow;
  if (linking === null) throw new RangeError("a step-up of nobody");
  return await retryConflicts<StepUpOutcome>(async () => {
    const found = await tools.users.read(linking.userId);
    const whose = await whoseProof(tools, at.flow, proof, linking.userId);
    if (found === undefined || whose === undefined || !mayLogIn(found.user, peer)) return { kind: "refused" };
    const demand = withLevelOf(at.flow, await tools.assurance.demandOn(linking.userId));
    if (isBelow(proof, demand)) return { kind: "below", user: found.user, demand };
    const raised = await reprovedSession(tools, linking, proof);
    const provedBy = [...proof.evidence, ...whose];
    const decidedOn = [...provedBy, ...userStatusChecks(linking.userId, found), ...demand.checks];
    const step = mergeSteps(endFlowStep(at), { check: decidedOn }, raised.step);
    if ((await tools.revocation.commit(step)).ok) return { kind: "granted", result: linking.sessionId };
    if (!(await areUnchanged(tools.store, flowChecks(at)))) throw new AuthError("conflict");
    // What was proved does not change back. Everything else is looked at again.
    return (await areUnchanged(tools.store, provedBy)) ? undefined : { kind: "refused" };
  });
}

/** Checks that what was proved is a login of this user. Undefined if it is not. */
async function whoseProof(
  { credentials, registry }: Pick<PersonTools, "credentials" | "registry">,
  { handler }: Flow,
  { subject, amr, linkTo }: Proof,
  userId: string,
): Promise<Checks | undefined> {
  const provider = registry.find(...handler);
  if (provider === undefined || !provesPerson(provider) || amr.length === 0) return undefined;
  const found = await credentials.find(handler[0], handler[1], subject);
  // A provider that names the user itself needs no credential; see `ProviderStep`.
  if (found === undefined) return linkTo === userId ? [] : undefined;
  if (found.credential.userId !== userId) return undefined;
  return [{ key: recordKeys.credential(found.credential.id), version: found.version }];
}
