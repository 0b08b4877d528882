import type { FlowStep } from "../../../protocol/flow.ts";
import { AuthError } from "../errors.ts";
import type { FinishTools } from "./finish-login.ts";
import { type Flow, readFlow, type VersionedFlow } from "./flow-record.ts";
import { endFlow } from "./flow-writes.ts";
import type { FlowAnswer, FlowClaim, LoginFlowLimits, LoginFlows, LoginFlowsOptions } from "./login-flows.ts";
import type { OpenFlows } from "./open-flows.ts";

/* What the operations on login flows share. */

export interface Engine {
  readonly options: LoginFlowsOptions & FinishTools;
  readonly limits: LoginFlowLimits;
  readonly open: OpenFlows;
  /** Listens for flows that continue on other nodes, from the first call on. */
  readonly listen: () => void;
  readonly addressClaim: LoginFlows["addressClaim"];
}

/** Throws `invalid_flow`, alike for an unknown flow, an ended one and a wrong secret. */
export async function requireFlow(
  { options }: Engine,
  { flowId, flowSecret }: FlowClaim,
): Promise<VersionedFlow> {
  const at = await readFlow(options.store, flowId, flowSecret);
  if (at === undefined) throw new AuthError("invalid_flow");
  return at;
}

/** Ends a flow that is past its deadline, or has no attempts left because an error prevented the last answer. */
export async function endIfExpired({ options }: Engine, at: VersionedFlow): Promise<FlowStep | undefined> {
  if (at.flow.deadline <= options.clock.now()) return await endFlow(options, at, "login_expired");
  const spent = at.flow.attemptsLeft <= 0 && at.flow.busyUntil <= options.clock.now();
  return spent ? await endFlow(options, at, "too_many_retry") : undefined;
}

/** `stepsSince`: how many steps were sent since `flow` was read. */
export function answer(
  { open, options }: Engine,
  { flow, flowSecret }: { readonly flow: Flow; readonly flowSecret: string },
  step: FlowStep,
  stepsSince = 0,
): FlowAnswer {
  if (step.type === "abort" || step.type === "create_entry") open.remove(step.flow_id);
  return {
    step,
    flowSecret,
    purpose: flow.purpose,
    stepNumber: flow.stepNumber + stepsSince,
    endsInMs: flow.deadline - options.clock.now(),
  };
}
