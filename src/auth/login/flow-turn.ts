import type { FlowStep } from "../../../protocol/flow.ts";
import { AuthError } from "../errors.ts";
import type { Peer } from "../model.ts";
import type { LoginProvider, ProviderContext, ProviderStep } from "../providers/provider.ts";
import type { Approval } from "../users/approvals.ts";
import { beginFactor } from "./begin-factor.ts";
import { type FinishTools, finishLogin } from "./finish-login.ts";
import { type Flow, type SentStep, type VersionedFlow, writeFlowStep } from "./flow-record.ts";
import { abortStep, entryStep, sentStep } from "./flow-steps.ts";
import { endFlow, write } from "./flow-writes.ts";
import { type Proof, proofOf, storedProof } from "./proof.ts";

/**
 * A flow whose step this call processes. `flow.attemptsLeft` has this step's attempt taken off already.
 * `attemptsIfRight` is the count from before, which is put back if the step did not fail.
 */
export interface Turn {
  readonly at: VersionedFlow;
  readonly attemptsIfRight: number;
  /** The store says so, and no other call processes the step. */
  readonly isTaken: boolean;
}

/**
 * After this time another call may take over the step of a node that died. The outcome of the first one is then
 * refused.
 */
const turnMs = 10_000;

/**
 * Takes the turn by compare-and-set before any work. Only one of several parallel steps continues, and it has charged
 * its attempt before a password is hashed. Throws `conflict`.
 */
export async function takeTurn(
  { store, clock }: FinishTools,
  { flow, version }: VersionedFlow,
): Promise<Turn> {
  const now = clock.now();
  if (flow.busyUntil > now) throw isBusy();
  const charged = { ...flow, attemptsLeft: flow.attemptsLeft - 1, busyUntil: now + turnMs };
  const outcome = await store.commit(writeFlowStep({ flow: charged, version }));
  if (!outcome.ok) throw isBusy();
  const at = { flow: charged, version: outcome.version };
  return { at, attemptsIfRight: flow.attemptsLeft, isTaken: true };
}

/**
 * The turn without a commit, for a step that several calls may process at once. Each looks at the same version of the
 * flow, so only one of them commits what it came to, and the others throw `conflict` in place of their verdict. Throws
 * `conflict` if another call has taken the turn.
 */
export function shareTurn({ clock }: Pick<FinishTools, "clock">, { flow, version }: VersionedFlow): Turn {
  if (flow.busyUntil > clock.now()) throw isBusy();
  const charged = { ...flow, attemptsLeft: flow.attemptsLeft - 1 };
  return { at: { flow: charged, version }, attemptsIfRight: flow.attemptsLeft, isTaken: false };
}

function isBusy(): AuthError {
  return new AuthError("conflict", { detail: "another step of this login is being processed" });
}

/**
 * Errors of a provider that cost no attempt: the input was not tried, or not readable, or its backend did not answer. After a
 * `conflict` the flow is another one.
 */
const keepsAttempt: ReadonlySet<string> = new Set(["overloaded", "unavailable", "invalid_format"]);

/** Asks the provider. If it throws, the next step may come at once, and the attempt is given back if the input was not judged. */
export async function askProvider(
  tools: FinishTools,
  provider: LoginProvider,
  turn: Turn,
  input: Readonly<Record<string, unknown>>,
  context: ProviderContext,
): Promise<ProviderStep> {
  const { flow } = turn.at;
  try {
    return await provider.advance(flow.step.stepId, input, flow.providerState, context);
  } catch (error) {
    const isUntried = error instanceof AuthError && keepsAttempt.has(error.code);
    if (isUntried && !turn.isTaken) throw error;
    const attemptsLeft = isUntried ? turn.attemptsIfRight : flow.attemptsLeft;
    // If this fails, the flow stays busy for its short turn. The client gets the provider's error, which says to try
    // again.
    await write(tools, turn.at, { ...flow, attemptsLeft }).catch(() => undefined);
    throw error;
  }
}

/**
 * Applies the provider's step to the flow. Throws `conflict` if the flow was continued or ended elsewhere meanwhile.
 * `deviceToken`: makes the `device_token` of `create_entry`, if the secret was right.
 */
export async function settle(
  tools: FinishTools,
  turn: Turn,
  step: ProviderStep,
  peer: Peer,
  deviceToken?: () => string,
): Promise<FlowStep> {
  const { flow } = turn.at;
  if (flow.deadline <= tools.clock.now()) return await endFlow(tools, turn.at, "login_expired");
  if (step.kind === "abort") return await endFlow(tools, turn.at, step.reason);
  if (step.kind === "done") {
    const proof = proofOf(step, tools.clock.now());
    const shared = turn.isTaken ? undefined : turn.at.flow;
    return await finish(tools, provedFlow(turn.at, step), proof, peer, { deviceToken, shared });
  }
  const next = flowAfter(turn, step);
  return hasNoAttemptsLeft(next)
    ? await endFlow(tools, turn.at, "too_many_retry")
    : await write(tools, turn.at, next);
}

/** The flow as it is finished, or goes on from here: with the provider's own proof, and the form for a refusal. */
function provedFlow(
  at: VersionedFlow,
  { serverFinal, form }: Extract<ProviderStep, { kind: "done" }>,
): VersionedFlow {
  if (form === undefined) return { ...at, flow: { ...at.flow, serverFinal } };
  return {
    ...at,
    flow: { ...at.flow, step: sentStepOf(form), providerState: form.state ?? {}, serverFinal },
  };
}

type AskingStep = Exclude<ProviderStep, { kind: "abort" | "done" }>;

/** The flow after the step was sent. A form with errors costs the attempt. */
export function flowAfter({ at: { flow }, attemptsIfRight }: Turn, step: AskingStep): Flow {
  const failed = step.kind === "form" && Object.keys(step.errors ?? {}).length > 0;
  return {
    ...flow,
    step: sentStepOf(step),
    stepNumber: flow.stepNumber + 1,
    providerState: step.state ?? {},
    attemptsLeft: failed ? flow.attemptsLeft : attemptsIfRight,
  };
}

function sentStepOf(step: AskingStep): SentStep {
  const { stepId, placeholders = null } = step;
  switch (step.kind) {
    case "form":
      return {
        kind: "form",
        stepId,
        fields: [...step.fields],
        errors: { ...step.errors },
        placeholders,
        mechanisms: step.mechanisms && [...step.mechanisms],
        mayBeSent: step.mayBeSent,
      };
    case "external":
      return { kind: "external", stepId, url: step.url, placeholders };
    case "progress":
      return { kind: "progress", stepId, action: step.action, placeholders };
  }
}

/**
 * Ends the flow with what was proved. If policy demands more of the user, the flow goes on with a second factor, and what
 * was proved so far stays in its record. `shared`: the flow as it was read, if its turn was not taken yet.
 */
export async function finish(
  tools: FinishTools,
  at: VersionedFlow,
  proof: Proof,
  peer: Peer,
  {
    deviceToken,
    shared,
  }: { readonly deviceToken?: (() => string) | undefined; readonly shared?: Flow | undefined } = {},
): Promise<FlowStep> {
  const outcome = await finishLogin(tools, at, proof, peer);
  switch (outcome.kind) {
    case "granted":
      return entryStep(at.flow, outcome.result);
    case "below":
      return await beginFactor(tools, await reserved(tools, at, shared), { ...outcome, proof, deviceToken });
    case "waits":
      return await waitInFlow(tools, at, proof, outcome.approval);
    case "not_linked":
      return await endFlow(tools, at, outcome.reason);
    case "no_room":
      return await endFlow(tools, at, "approvals_full");
    case "over":
      return abortStep(at.flow, "unknown_error");
    case "refused":
      return await refuseProof(tools, at);
  }
}

/** A factor may send a message, which parallel calls must not send twice. Throws `conflict`. */
async function reserved(
  { store, clock }: FinishTools,
  at: VersionedFlow,
  shared: Flow | undefined,
): Promise<VersionedFlow> {
  if (shared === undefined) return at;
  const flow = { ...shared, busyUntil: clock.now() + turnMs };
  const outcome = await store.commit(writeFlowStep({ flow, version: at.version }));
  if (!outcome.ok) throw isBusy();
  return { ...at, version: outcome.version };
}

/** The flow's step from here on says that its user waits for approval. A decision continues the flow. */
async function waitInFlow(
  tools: FinishTools,
  at: VersionedFlow,
  proof: Proof,
  { userId, code }: Approval,
): Promise<FlowStep> {
  tools.onWaiting(at.flow.id, userId);
  if (at.flow.waiting !== null) return sentStep(tools, at.flow);
  // The profile was written to the user, and must not undo what whoever approves decides.
  const waiting = { userId, proof: storedProof({ ...proof, profile: undefined }) };
  return await write(tools, at, {
    ...at.flow,
    step: { kind: "progress", stepId: "approval", action: "wait_for_approval", placeholders: { code } },
    stepNumber: at.flow.stepNumber + 1,
    outcome: null,
    waiting,
    // No input is taken any more. Without an attempt left, the flow would end.
    attemptsLeft: Math.max(1, at.flow.attemptsLeft),
  });
}

/**
 * Answers like a wrong secret, with the error of the provider's form, if the last step was a form with fields, otherwise ends with
 * `not_allowed`. A flow that waited for approval ends with `not_approved` if the user is gone, and with `not_allowed` if the user may not log in now
 * or from here.
 */
async function refuseProof(tools: FinishTools, at: VersionedFlow): Promise<FlowStep> {
  const { step, stepNumber, waiting, factor } = at.flow;
  if (waiting !== null) {
    const isGone = (await tools.users.read(waiting.userId)) === undefined;
    return await endFlow(tools, at, isGone ? "not_approved" : "not_allowed");
  }
  if (factor != null || step.kind !== "form" || step.fields.length === 0)
    return await endFlow(tools, at, "not_allowed");
  const again = { ...step, errors: { base: step.errors.base ?? "invalid_auth" } };
  const next = { ...at.flow, step: again, stepNumber: stepNumber + 1, serverFinal: undefined };
  return hasNoAttemptsLeft(next) ? await endFlow(tools, at, "too_many_retry") : await write(tools, at, next);
}

/** True if a failed attempt was the last one. */
export function hasNoAttemptsLeft({ step, attemptsLeft }: Flow): boolean {
  return step.kind === "form" && Object.keys(step.errors).length > 0 && attemptsLeft <= 0;
}
