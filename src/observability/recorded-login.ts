import type { FlowStep } from "../../protocol/flow.ts";
import { AuthError } from "../auth/errors.ts";
import type { FlowAnswer } from "../auth/login/login-flows.ts";
import type { Actor, Peer } from "../auth/model.ts";
import type { Audit } from "./audit.ts";

/** Who decides, and where that is recorded. */
export interface Recorder {
  readonly actor: Actor | undefined;
  readonly audit: Audit;
  readonly onLogin: (result: string) => void;
}

/** Records what a step of a login decided, or why it was refused. */
export async function recordLogin(
  { audit, onLogin }: Recorder,
  peer: Peer,
  answer: Promise<FlowAnswer>,
): Promise<FlowAnswer> {
  try {
    const result = await answer;
    const decision = decisionOf(result.step);
    if (decision !== undefined) onLogin(decision);
    audit.loginStep(result.step, peer, result);
    const { userId, factorSetUp, concluded, step } = result;
    const where = { userId, flowId: step.flow_id, address: peer.address };
    if (concluded === true) audit.decided("password_change", "allowed", where);
    if (factorSetUp != null) audit.decided("factor_setup", "allowed", { ...where, factorIds: [factorSetUp] });
    return result;
  } catch (error) {
    if (error instanceof AuthError) {
      onLogin(error.code);
      void whomAbout(error).then((userId) => audit.loginRefused(error.code, peer, userId));
    }
    throw error;
  }
}

export function isOver({ type }: FlowStep): boolean {
  return type === "abort" || type === "create_entry";
}

/** Undefined for a form without errors, which is no decision. */
function decisionOf(step: FlowStep): string | undefined {
  if (step.type === "create_entry") return "ok";
  if (step.type === "abort") return step.reason;
  return step.type === "form" ? step.errors.base : undefined;
}

/** The record is written also if the store does not answer. */
async function whomAbout({ userId }: AuthError): Promise<string | undefined> {
  return await userId?.().catch(() => undefined);
}
