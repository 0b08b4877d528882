import { randomBytes } from "node:crypto";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import type { FactorSetupStep } from "../../../protocol/commands/factors.ts";
import { FormField } from "../../../protocol/flow.ts";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import { readFormInput } from "../login/form-input.ts";
import type { Principal } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { LogWriter } from "../revocation/log-writer.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { LoopYielder } from "../scheduling/loop-yielder.ts";
import { raiseSession, requireOwnSession } from "../sessions/raise-session.ts";
import type { StepUps } from "../sessions/recent-login.ts";
import { listSessions } from "../sessions/session-reading.ts";
import {
  areUnchanged,
  type Checks,
  type JsonObject,
  mergeSteps,
  readRecord,
  retryConflicts,
  type Step,
  type Store,
} from "../store.ts";
import { RateLimiter } from "../throttling/rate-limiter.ts";
import type { Assurance } from "./assurance.ts";
import type { FactorDemands } from "./demands.ts";
import {
  changeEnrolmentsStep,
  type Enrolments,
  enrolmentChecks,
  newEnrolment,
  readEnrolments,
  readFactorUses,
  withEnrolment,
} from "./enrolments.ts";
import type { Factor, FactorContext, FactorForm, FactorSetup } from "./factor.ts";

export interface SetupFlows {
  /**
   * Begins the set-up of a factor for the principal's user; another one that was begun is over. Throws `no_module`,
   * `recent_login_required`, `insufficient_scope` for an app's session, `not_system_user`, `not_allowed` for a backup of
   * nothing, `rate_limited` for more steps of set-ups than people need.
   */
  begin(factorId: string, by: Principal): Promise<FactorSetupStep>;
  /**
   * Goes on with it. The set-up is the user's and the session's: throws `invalid_flow` alike for an unknown, ended or
   * other one, and as `begin` does. What completes it raises the session that asks to level 2, and ends the user's
   * sessions below that.
   */
  advance(flowId: string, input: Readonly<Record<string, unknown>>, by: Principal): Promise<FactorSetupStep>;
}

export interface SetupFlowsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly yielder: LoopYielder;
  readonly factors: readonly Factor[];
  readonly revocation: LogWriter & Pick<Revocation, "revoke">;
  readonly stepUps: StepUps;
  readonly assurance: Assurance;
  readonly demands: FactorDemands;
  /** Display name of a user who exists. */
  readonly nameOf: (userId: string) => Promise<string>;
}

interface SetupContext extends FactorContext {
  /** The user's factors, as the factor was asked with them. */
  readonly enrolments: Enrolments;
  /** What was made of `previous` is right while these are unchanged. */
  readonly madeOf: Checks;
}

/** How long a set-up may take, ms. */
const lifeMs = 10 * 60_000;

const SetupRecord = Type.Object({
  flowId: Type.String(),
  sessionId: Type.String(),
  factorId: Type.String(),
  fields: Type.Array(FormField),
  /** The factor's own; its secrets are sealed. */
  state: Type.Object({}),
  attemptsLeft: Type.Integer(),
  deadline: Type.Number(),
});
const setupRecord = Compile(SetupRecord);
type Setup = Omit<Static<typeof SetupRecord>, "state"> & { readonly state: JsonObject };
interface VersionedSetup {
  readonly setup: Setup;
  readonly version: number;
}

/** A step costs up to some milliseconds: a QR code is made, or a key is checked. */
const stepsOfUser = { limit: 30, windowMs: 60_000 } as const;

/** Set-up of second factors by users who are logged in. A user sets up one at a time, on any node. */
export function createSetupFlows(options: SetupFlowsOptions): SetupFlows {
  const steps = new RateLimiter({ ...stepsOfUser, clock: options.clock });
  const contextOf = async (flowId: string, { userId }: Principal, { id }: Factor) => {
    const [userName, enrolments, uses] = await Promise.all([
      options.nameOf(userId),
      readEnrolments(options.store, userId),
      readFactorUses(options.store, userId),
    ]);
    const previous = enrolments.all.find(({ factor }) => factor === id);
    const used = { key: recordKeys.factorUses(userId), version: uses.version };
    const madeOf = [...enrolmentChecks(userId, enrolments), ...(previous === undefined ? [] : [used])];
    const before = previous && { previous: previous.data, previousUsed: uses.of(previous) };
    return { userId, userName, flowId, ...before, enrolments, madeOf };
  };
  return {
    async begin(factorId, by) {
      const factor = requireFactor(options.factors, factorId);
      await requireFit(options, by);
      steps.charge(by.userId);
      const flowId = randomBytes(16).toString("hex");
      const context = await contextOf(flowId, by, factor);
      requirePrimary(options, factor, context.enrolments);
      const answer = await factor.beginSetup(context);
      const before = await readRecord(options.store, recordKeys.factorSetup(by.userId));
      const setup: Setup = {
        flowId,
        sessionId: by.sessionId,
        factorId,
        fields: [],
        state: {},
        attemptsLeft: factor.attempts,
        deadline: options.clock.now() + lifeMs,
      };
      return await settle(options, factor, by, { setup, version: before?.version ?? 0 }, answer, context);
    },
    async advance(flowId, input, by) {
      await requireFit(options, by);
      const at = await readSetup(options, by, flowId);
      const factor = requireFactor(options.factors, at.setup.factorId);
      const values = readFormInput(at.setup.fields, input);
      steps.charge(by.userId);
      const context = await contextOf(flowId, by, factor);
      // What is kept is kept with these, or not at all.
      requirePrimary(options, factor, context.enrolments);
      const answer = await factor.advanceSetup(values, at.setup.state, context);
      return await settle(options, factor, by, at, answer, context);
    },
  };
}

export function requireFactor(factors: readonly Factor[], id: string): Factor {
  const factor = factors.find((each) => each.id === id);
  if (factor === undefined) throw new AuthError("no_module");
  return factor;
}

/** The rule for changes of a user's factors. */
export async function requireFit(
  { stepUps }: Pick<SetupFlowsOptions, "stepUps">,
  by: Principal,
): Promise<void> {
  if (by.sessionType === "system") throw new AuthError("not_system_user");
  requireOwnSession(by);
  await stepUps.require("second_factors", by);
}

function requirePrimary(
  { factors }: Pick<SetupFlowsOptions, "factors">,
  { backup }: Factor,
  { all }: Enrolments,
): void {
  if (!backup) return;
  const hasOther = all.some(({ factor: id }) => factors.some((each) => each.id === id && !each.backup));
  if (!hasOther) throw new AuthError("not_allowed", { publicMessage: "Set up another second factor first" });
}

async function readSetup(
  { store, clock }: SetupFlowsOptions,
  { userId, sessionId }: Principal,
  flowId: string,
): Promise<VersionedSetup> {
  const record = await readRecord(store, recordKeys.factorSetup(userId));
  const value = record?.value;
  if (record === undefined || !setupRecord.Check(value)) throw new AuthError("invalid_flow");
  const setup = { ...value, state: value.state as JsonObject };
  const isSame = setup.flowId === flowId && setup.sessionId === sessionId;
  if (!isSame || setup.deadline <= clock.now()) throw new AuthError("invalid_flow");
  return { setup, version: record.version };
}

async function settle(
  options: SetupFlowsOptions,
  factor: Factor,
  by: Principal,
  at: VersionedSetup,
  answer: FactorSetup,
  context: SetupContext,
): Promise<FactorSetupStep> {
  const about = { flow_id: at.setup.flowId, handler: factor.id };
  if (answer.kind === "abort") return await abort(options, by.userId, at, answer.reason);
  if (answer.kind === "done") {
    await enrol(options, factor, by, at, answer, context);
    return {
      type: "create_entry",
      ...about,
      description: null,
      description_placeholders: null,
      data: { result: null },
    };
  }
  const failed = Object.keys(answer.errors ?? {}).length > 0;
  const attemptsLeft = failed ? at.setup.attemptsLeft - 1 : at.setup.attemptsLeft;
  if (attemptsLeft <= 0) return await abort(options, by.userId, at, "too_many_retry");
  const setup = { ...at.setup, attemptsLeft, fields: [...answer.fields], state: answer.state };
  await commit(options, writeSetupStep(by.userId, { setup, version: at.version }));
  return shownForm(about, factor, answer, context);
}

function shownForm(
  about: { readonly flow_id: string; readonly handler: string },
  { id, name }: Factor,
  { stepId = "init", fields, errors, placeholders, secrets }: FactorForm,
  { userName }: FactorContext,
): FactorSetupStep {
  return {
    type: "form",
    ...about,
    step_id: stepId,
    data_schema: [...fields],
    errors: { ...errors },
    description_placeholders: {
      mfa_module_id: id,
      mfa_module_name: name,
      user_name: userName,
      ...placeholders,
      ...secrets,
    },
    last_step: null,
    preview: null,
  };
}

async function abort(
  options: SetupFlowsOptions,
  userId: string,
  { setup, version }: VersionedSetup,
  reason: string,
): Promise<FactorSetupStep> {
  if (version > 0) await commit(options, endSetupStep(userId, version));
  return {
    type: "abort",
    flow_id: setup.flowId,
    handler: setup.factorId,
    reason,
    description_placeholders: null,
  };
}

function writeSetupStep(userId: string, { setup, version }: VersionedSetup): Step {
  const key = recordKeys.factorSetup(userId);
  return { check: [{ key, version }], put: [{ key, value: { ...setup }, expiresAt: setup.deadline }] };
}

function endSetupStep(userId: string, version: number): Step {
  const key = recordKeys.factorSetup(userId);
  return { check: [{ key, version }], remove: [key] };
}

async function commit({ store }: SetupFlowsOptions, step: Step): Promise<void> {
  const outcome = await store.commit(step);
  if (!outcome.ok) throw new AuthError("conflict", { detail: "the set-up was continued by another call" });
}

/**
 * One commit keeps the factor, ends the set-up, raises the session that asked, and ends the user's other sessions below
 * level 2. One that is being opened below it meanwhile checks the record of the user's factors, and fails.
 */
async function enrol(
  options: SetupFlowsOptions,
  factor: Factor,
  by: Principal,
  { version }: VersionedSetup,
  { data, amr }: Extract<FactorSetup, { kind: "done" }>,
  { enrolments: before, madeOf }: SetupContext,
): Promise<void> {
  const { store, clock, revocation } = options;
  const { userId, sessionId } = by;
  const ending = endSetupStep(userId, version);
  await retryConflicts(async () => {
    // What is kept may be made of what there was: keys that were reset meanwhile do not come back.
    if (!(await areUnchanged(store, madeOf))) throw new AuthError("conflict");
    const added = newEnrolment(factor.id, data, clock.now());
    const raised = await raiseSession(options, by, { amr: amr ?? [] });
    // What was not proved raises nothing: recovery codes are only shown.
    const asking = amr === undefined ? { check: raised.step.check ?? [] } : raised.step;
    const enrolling = changeEnrolmentsStep(userId, before, withEnrolment(before, added));
    const step = mergeSteps({ check: madeOf }, ending, enrolling, asking);
    const others = (await listSessions(options, userId))
      .filter(({ id, assurance }) => assurance < 2 && id !== sessionId)
      .map(({ id }) => id);
    if (factor.backup || others.length === 0) return await committed(options, step, userId, version);
    try {
      await revocation.revoke({ kind: "sessions", userId, sessionIds: others }, "session_revoked", {
        also: step,
      });
      return true;
    } catch (error) {
      if (!(error instanceof AuthError) || error.code !== "conflict") throw error;
      return await unlessOver(options, userId, version);
    }
  });
  await options.demands.enforce(userId);
}

async function committed(
  options: SetupFlowsOptions,
  step: Step,
  userId: string,
  version: number,
): Promise<true | undefined> {
  const outcome = await options.revocation.commit(step);
  return outcome.ok ? true : await unlessOver(options, userId, version);
}

/** Undefined: something else has changed. Throws `conflict` if another call has continued the set-up. */
async function unlessOver({ store }: SetupFlowsOptions, userId: string, version: number): Promise<undefined> {
  const record = await readRecord(store, recordKeys.factorSetup(userId));
  if (record?.version !== version) throw new AuthError("conflict");
  return undefined;
}
