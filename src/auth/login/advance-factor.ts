import type { FlowStep } from "../../../protocol/flow.ts";
import { AuthError } from "../errors.ts";
import { hasFactor } from "../factors/assurance.ts";
import {
  changeEnrolmentsStep,
  enrolmentChecks,
  newEnrolment,
  readEnrolments,
  withEnrolment,
} from "../factors/enrolments.ts";
import type { Factor, FactorForm, FactorSetup } from "../factors/factor.ts";
import type { FactorProof } from "../factors/factor-proofs.ts";
import type { Peer } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { combinedAmr } from "../sessions/raise-session.ts";
import { type Checks, mergeSteps } from "../store.ts";
import { restoredChecks } from "../stored-checks.ts";
import { mayLogIn } from "../users/account-status.ts";
import { userStatusChecks } from "../users/user-record.ts";
import { askFor, chosenFactor, factorContext, flowAtForm, provedBefore, stepIds } from "./begin-factor.ts";
import { concludedProof } from "./conclude-login.ts";
import type { FinishTools } from "./finish-login.ts";
import { type FactorPart, type Flow, flowChecks, type VersionedFlow, writeFlowStep } from "./flow-record.ts";
import { openTexts, sentStep } from "./flow-steps.ts";
import { finish, type Turn, takeTurn } from "./flow-turn.ts";
import { endFlow, write } from "./flow-writes.ts";
import type { FormInput } from "./form-input.ts";
import { type Proof, storedProof } from "./proof.ts";

export interface FactorAnswer {
  readonly step: FlowStep;
  /** The factor that the user has from now on, for the audit log. */
  readonly factorSetUp?: string | null;
}

/** At the set-up everything but a form of its own, or the end, comes after the factor was kept. */
function wasSetUp({ stage }: FactorPart, step: FlowStep): boolean {
  if (stage !== "setup") return false;
  return step.type === "create_entry" || (step.type === "form" && step.step_id === stepIds.recovery);
}

/**
 * Takes input at the step of a flow for a second factor. Throws what the flow's other steps do, and `rate_limited` if no
 * guess is left for the person: then the input was not judged, and the flow stays.
 */
export async function advanceFactor(
  tools: FinishTools,
  at: VersionedFlow,
  part: FactorPart,
  input: FormInput,
  peer: Peer,
): Promise<FactorAnswer> {
  const turn = await takeTurn(tools, at);
  try {
    const step = await advanceStage(tools, turn, part, input, peer);
    const setUp = wasSetUp(part, step) ? { factorSetUp: part.factorId } : {};
    return { step: withDeviceToken(tools, at.flow, part, step), ...setUp };
  } catch (error) {
    if (!(error instanceof AuthError) || error.code === "conflict") throw error;
    // Nothing was judged. If this fails, the flow stays busy for its short turn.
    const back = { ...turn.at.flow, attemptsLeft: turn.attemptsIfRight };
    await write(tools, turn.at, back).catch(() => undefined);
    if (error.code !== "rate_limited") throw error;
    const { retryAfterSeconds = 1 } = error;
    throw new AuthError("rate_limited", { retryAfterSeconds, userId: async () => part.userId });
  }
}

async function advanceStage(
  tools: FinishTools,
  turn: Turn,
  part: FactorPart,
  input: FormInput,
  peer: Peer,
): Promise<FlowStep> {
  if (part.stage === "select" || part.stage === "select_setup") {
    const chosen = chosenFactor(tools, input);
    return chosen === undefined
      ? await endFlow(tools, turn.at, "unknown_error")
      : await askFor(tools, turn.at, part, chosen);
  }
  const factor = tools.factors.find(({ id }) => id === part.factorId);
  if (factor === undefined)
    throw new AuthError("invalid_flow", { detail: "the factor is not configured on this node" });
  switch (part.stage) {
    case "prove":
      return await prove(tools, turn, part, factor, input, peer);
    case "setup":
      return await setUp(tools, turn, part, factor, input, peer);
    case "recovery":
      return await keepRecovery(tools, turn, part, factor, input, peer);
  }
}

async function prove(
  tools: FinishTools,
  turn: Turn,
  part: FactorPart,
  factor: Factor,
  input: FormInput,
  peer: Peer,
): Promise<FlowStep> {
  const context = await factorContext(tools, turn.at.flow, part);
  const verdict = await tools.factorProofs.verify(factor, input, part.state, context);
  if (verdict.kind === "abort") return await endFlow(tools, turn.at, verdict.reason);
  if (verdict.kind === "form") return await askAgain(tools, turn, part, factor, verdict);
  return await finish(tools, turn.at, raised(provedBefore(tools, turn.at.flow, part), verdict), peer);
}

/** A form with errors costs the attempt. */
async function askAgain(
  tools: FinishTools,
  { at, attemptsIfRight }: Turn,
  part: FactorPart,
  factor: Factor,
  form: FactorForm,
): Promise<FlowStep> {
  const failed = Object.keys(form.errors ?? {}).length > 0;
  if (failed && at.flow.attemptsLeft <= 0) return await endFlow(tools, at, "too_many_retry");
  const attemptsLeft = failed ? at.flow.attemptsLeft : attemptsIfRight;
  return await write(tools, at, { ...flowAtForm(tools, at.flow, part, factor, form), attemptsLeft });
}

/** Both factors are proved. That they come together makes the level: see `beginFactor`. */
function raised(
  first: Proof,
  { amr, evidence }: Pick<FactorProof, "amr"> & { readonly evidence: Checks },
): Proof {
  return {
    ...first,
    assurance: 2,
    amr: combinedAmr(first.amr, amr),
    evidence: [...first.evidence, ...evidence],
  };
}

/** One commit keeps the new factor and the flow's next step, so a login that goes on elsewhere knows of it. */
async function setUp(
  tools: FinishTools,
  turn: Turn,
  part: FactorPart,
  factor: Factor,
  input: FormInput,
  peer: Peer,
): Promise<FlowStep> {
  const { at } = turn;
  const context = await factorContext(tools, at.flow, part);
  const answer = await factor.advanceSetup(input, part.state, context);
  if (answer.kind === "abort") return await endFlow(tools, at, answer.reason);
  if (answer.kind === "form") return await askAgain(tools, turn, part, factor, answer);
  const enrolments = await readEnrolments(tools.store, part.userId);
  // Somebody else, who had the password too, has set one up meanwhile: from now on that one is asked for.
  if (hasFactor(tools.factors, enrolments)) return await endFlow(tools, at, "not_allowed");
  const proved = await concludedPart(tools, at, part, enrolmentChecks(part.userId, enrolments), peer);
  const theirs = proved && (await whoseChecks(tools, at.flow, proved, peer));
  if (proved === undefined || theirs === undefined) return await endFlow(tools, at, "not_allowed");
  const added = newEnrolment(factor.id, answer.data, tools.clock.now());
  const next = await flowAfterSetup(tools, at.flow, proved, added.id, answer);
  const outcome = await tools.revocation.commit(
    mergeSteps(
      writeFlowStep({ flow: next, version: at.version }),
      changeEnrolmentsStep(part.userId, enrolments, withEnrolment(enrolments, added)),
      { check: [...restoredChecks(proved.proof.evidence), ...theirs] },
    ),
  );
  if (!outcome.ok) return await endRefused(tools, at, outcome.conflict);
  // Nothing may have been demanded for a while since the login began, and the user may have got sessions then.
  await tools.demands.enforce(part.userId);
  if (next.factor?.stage === "recovery") return sentStep(tools, next);
  const now = { flow: next, version: outcome.version };
  return await finishWithNew(tools, now, proved, { enrolmentId: added.id, amr: answer.amr ?? [] }, peer);
}

/**
 * What the provider has to do is done before the first factor is kept: there is none that it could wait for, and a factor must
 * not outlast a login that changed nothing else.
 */
async function concludedPart(
  tools: FinishTools,
  at: VersionedFlow,
  part: FactorPart,
  withoutFactor: Checks,
  peer: Peer,
): Promise<FactorPart | undefined> {
  if (part.pending === undefined) return part;
  const before = provedBefore(tools, at.flow, part);
  const check = [...flowChecks(at), ...before.evidence, ...withoutFactor];
  const proof = await concludedProof(tools, at, before, { check }, peer);
  const { pending, ...rest } = part;
  return proof && { ...rest, proof: storedProof(proof) };
}

/** What the login was decided on has changed. Throws `conflict` if it was the flow, which another call has continued. */
async function endRefused(tools: FinishTools, at: VersionedFlow, changed: string): Promise<FlowStep> {
  if (changed === recordKeys.flow(at.flow.id)) throw new AuthError("conflict");
  return await endFlow(tools, at, "not_allowed");
}

/** The recovery codes come next, if there are any. They are shown with the factor that they stand in for. */
async function flowAfterSetup(
  tools: FinishTools,
  flow: Flow,
  part: FactorPart,
  enrolmentId: string,
  { amr = [] }: Extract<FactorSetup, { kind: "done" }>,
): Promise<Flow> {
  const backup = tools.factors.find((each) => each.backup);
  const shown = backup && (await backup.beginSetup(await factorContext(tools, flow, part)));
  if (backup === undefined || shown?.kind !== "form") return flow;
  const state = { shown: shown.state, enrolmentId, amr: [...amr] };
  const recovery = { ...part, stage: "recovery", factorId: backup.id } as const;
  const next = flowAtForm(tools, flow, recovery, backup, { ...shown, state });
  return { ...next, attemptsLeft: backup.attempts, busyUntil: 0 };
}

async function keepRecovery(
  tools: FinishTools,
  { at }: Turn,
  part: FactorPart,
  factor: Factor,
  input: FormInput,
  peer: Peer,
): Promise<FlowStep> {
  const { shown, enrolmentId, amr } = part.state;
  const context = await factorContext(tools, at.flow, part);
  const answer = await factor.advanceSetup(input, shown as FactorPart["state"], context);
  if (answer.kind !== "done") return await endFlow(tools, at, "unknown_error");
  const enrolments = await readEnrolments(tools.store, part.userId);
  const theirs = await whoseChecks(tools, at.flow, part, peer);
  if (!enrolments.all.some(({ id }) => id === enrolmentId) || theirs === undefined)
    return await endFlow(tools, at, "not_allowed");
  const added = newEnrolment(factor.id, answer.data, tools.clock.now());
  const write = changeEnrolmentsStep(part.userId, enrolments, withEnrolment(enrolments, added));
  const check = [...restoredChecks(part.proof.evidence), ...theirs];
  const outcome = await tools.revocation.commit(mergeSteps(write, { check }));
  if (!outcome.ok) return await endRefused(tools, at, outcome.conflict);
  const proved = { enrolmentId: String(enrolmentId), amr: (amr as readonly string[]) ?? [] };
  return await finishWithNew(tools, at, part, proved, peer);
}

/**
 * The login is still the user's, who may log in: checks for a commit that gives the user a factor because of it. Undefined
 * if not. Otherwise whoever held a login that was taken from them could set a factor up, and lock its user out.
 */
async function whoseChecks(
  { credentials, users }: FinishTools,
  { handler: [type, id] }: Flow,
  { userId, proof }: FactorPart,
  peer: Peer,
): Promise<Checks | undefined> {
  const found = await credentials.find(type, id, proof.subject);
  const user = await users.read(userId);
  const isTheirs = found?.credential.userId === userId;
  if (!isTheirs || user === undefined || !mayLogIn(user.user, peer)) return undefined;
  const credential = { key: recordKeys.credential(found.credential.id), version: found.version };
  return [credential, ...userStatusChecks(userId, user)];
}

/** Its set-up was the proof of the factor, if the user still has it. */
async function finishWithNew(
  tools: FinishTools,
  at: VersionedFlow,
  part: FactorPart,
  { enrolmentId, amr }: { readonly enrolmentId: string; readonly amr: readonly string[] },
  peer: Peer,
): Promise<FlowStep> {
  const enrolments = await readEnrolments(tools.store, part.userId);
  if (!enrolments.all.some(({ id }) => id === enrolmentId)) return await endFlow(tools, at, "not_allowed");
  const evidence = enrolmentChecks(part.userId, enrolments);
  return await finish(tools, at, raised(provedBefore(tools, at.flow, part), { amr, evidence }), peer);
}

function withDeviceToken(
  { sealing }: FinishTools,
  flow: Flow,
  { deviceToken }: FactorPart,
  step: FlowStep,
): FlowStep {
  if (step.type !== "create_entry" || deviceToken === undefined) return step;
  const { deviceToken: token } = openTexts(sealing, flow.id, deviceToken);
  return token === undefined ? step : { ...step, device_token: token };
}
