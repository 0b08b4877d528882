import type { FlowStep } from "../../../protocol/flow.ts";
import { AuthError } from "../errors.ts";
import { type Demand, hasFactor } from "../factors/assurance.ts";
import type { Factor, FactorAbort, FactorContext, FactorForm, FactorSetup } from "../factors/factor.ts";
import type { User } from "../model.ts";
import type { ProviderRegistry } from "../providers/registry.ts";
import type { FinishTools } from "./finish-login.ts";
import type { FactorPart, Flow, SentStep, VersionedFlow } from "./flow-record.ts";
import { openTexts, sealTexts } from "./flow-steps.ts";
import { endFlow, write } from "./flow-writes.ts";
import { type Proof, restoredProof, storedProof } from "./proof.ts";

/* The steps of a login for a second factor, in Home Assistant's names. */

/** Home Assistant's field, which has neither flag and is required. */
const selectField = "multi_factor_auth_module";
export const stepIds = {
  select: "select_mfa_module",
  prove: "mfa",
  select_setup: "select_mfa_setup",
  setup: "mfa_setup",
  recovery: "mfa_recovery",
} as const satisfies Record<FactorPart["stage"], string>;

/** A login whose person must prove more. */
export interface BelowDemand {
  readonly user: User;
  readonly demand: Demand;
  readonly proof: Proof;
  readonly deviceToken?: (() => string) | undefined;
}

/**
 * Goes on with a second factor: one that the user has, or, if a group demands one and the user has none, one that is set up
 * now. Two factors must come together. So if the login is not a first factor (`LoginProvider.supportsMfa`), only a factor counts
 * that the user has and that verifies the person itself; without one the login ends with `not_allowed`. So it does if what
 * the user has is not configured any more.
 */
export async function beginFactor(
  tools: FinishTools,
  at: VersionedFlow,
  { user, demand, proof, deviceToken }: BelowDemand,
): Promise<FlowStep> {
  const { flow } = at;
  const hasFirst = isFirstFactor(tools.registry, flow);
  const owned = tools.factorProofs.offered(demand.enrolments);
  const hasOne = hasFactor(tools.factors, demand.enrolments);
  // To set one up would end sessions of the person, and perhaps this one. The person does it, and then repeats the command.
  if (!hasOne && flow.purpose === "step_up") return await endFlow(tools, at, "second_factor_required");
  // A set-up proves that somebody has the factor, and not who that is.
  const candidates = hasOne
    ? owned.filter(({ verifiesUser }) => hasFirst || verifiesUser)
    : tools.factors.filter(({ backup }) => hasFirst && !backup);
  const part: FactorPart = {
    userId: user.id,
    // The profile was written to the user, and must not be written again.
    proof: storedProof({ ...proof, profile: undefined }),
    stage: hasOne ? "select" : "select_setup",
    factorId: null,
    state: {},
    ...(deviceToken === undefined
      ? {}
      : { deviceToken: sealTexts(tools.sealing, flow.id, { deviceToken: deviceToken() }) }),
    ...(proof.pending === undefined
      ? {}
      : { pending: sealTexts(tools.sealing, flow.id, { pending: JSON.stringify(proof.pending) }) }),
  };
  const [first] = candidates;
  // Nobody is asked in vain.
  if (first === undefined) return await endFlow(tools, at, "not_allowed");
  if (candidates.length > 1) return await write(tools, at, flowAtSelect(flow, part, candidates));
  return await askFor(tools, at, part, first);
}

/** What the login had proved when it came to the second factor. */
export function provedBefore(
  { sealing }: Pick<FinishTools, "sealing">,
  { id }: Flow,
  { proof, pending }: FactorPart,
): Proof {
  const texts = pending === undefined ? {} : openTexts(sealing, id, pending);
  return { ...restoredProof(proof), pending: texts.pending && JSON.parse(texts.pending) };
}

/** Whether the provider's login is a first factor, so that any other one makes two. */
function isFirstFactor(registry: ProviderRegistry, { handler }: Flow): boolean {
  return registry.find(...handler)?.supportsMfa === true;
}

function flowAtSelect(flow: Flow, factor: FactorPart, candidates: readonly Factor[]): Flow {
  const options = candidates.map(({ id, name }): [string, string] => [id, name]);
  return {
    ...afterFirstFactor(flow),
    factor,
    // A choice is no guess.
    attemptsLeft: Math.max(...candidates.map(({ attempts }) => attempts)),
    step: {
      kind: "form",
      stepId: stepIds[factor.stage],
      fields: [{ name: selectField, type: "select", options }],
      errors: {},
      placeholders: null,
    },
  };
}

/** The factor that was chosen at `flowAtSelect`. */
export function chosenFactor(tools: Pick<FinishTools, "factors">, input: Readonly<Record<string, unknown>>) {
  return tools.factors.find(({ id }) => id === input[selectField]);
}

/** Shows the first form of a factor: to prove it, or to set it up. Throws what the factor does. */
export async function askFor(
  tools: FinishTools,
  at: VersionedFlow,
  part: FactorPart,
  factor: Factor,
): Promise<FlowStep> {
  const context = await factorContext(tools, at.flow, part);
  const isSetup = part.stage === "select_setup" || part.stage === "setup";
  const begin = () => (isSetup ? factor.beginSetup(context) : tools.factorProofs.begin(factor, context));
  const answer = await begin().catch((error: unknown) => notBegun(tools, at, error));
  const asking = { ...part, stage: isSetup ? "setup" : "prove", factorId: factor.id } as const;
  if (answer.kind !== "form") return await endFlow(tools, at, reasonOf(answer));
  const next = flowAtForm(tools, at.flow, asking, factor, answer);
  return await write(tools, at, { ...next, attemptsLeft: factor.attempts });
}

/** What would have been sent was not. The flow stays where it was, unless too much was sent already. */
async function notBegun(tools: FinishTools, at: VersionedFlow, error: unknown): Promise<FactorAbort> {
  if (!(error instanceof AuthError)) throw error;
  if (error.code === "rate_limited") return { kind: "abort", reason: "too_many_messages" };
  // If this fails, the flow stays busy for its short turn.
  await write(tools, at, { ...at.flow, serverFinal: undefined }).catch(() => undefined);
  throw error;
}

/** Home Assistant's reason if a module cannot begin. */
function reasonOf(answer: FactorAbort | Exclude<FactorSetup, FactorForm | FactorAbort>): string {
  return answer.kind === "abort" ? answer.reason : "unknown_error";
}

export async function factorContext(
  { users }: Pick<FinishTools, "users">,
  { id }: Flow,
  { userId }: FactorPart,
): Promise<FactorContext> {
  const found = await users.read(userId);
  if (found === undefined) throw new AuthError("invalid_flow", { detail: "the user was removed meanwhile" });
  return { userId, userName: found.user.name ?? userId, flowId: id };
}

/** The flow after the form of a factor was sent. NOT set here: the attempts that are left. */
export function flowAtForm(
  { sealing }: Pick<FinishTools, "sealing">,
  flow: Flow,
  part: FactorPart,
  { id, name }: Factor,
  { fields, errors, placeholders, secrets, state }: FactorForm,
): Flow {
  const step: SentStep = {
    kind: "form",
    stepId: stepIds[part.stage],
    fields: [...fields],
    errors: { ...errors },
    placeholders: { mfa_module_name: name, mfa_module_id: id, ...placeholders },
    ...(secrets === undefined ? {} : { secrets: sealTexts(sealing, flow.id, secrets) }),
  };
  return { ...afterFirstFactor(flow), step, factor: { ...part, state } };
}

/** What was said of the first factor is over. */
function afterFirstFactor(flow: Flow): Flow {
  return { ...flow, stepNumber: flow.stepNumber + 1, outcome: null, waiting: null, providerState: {} };
}
