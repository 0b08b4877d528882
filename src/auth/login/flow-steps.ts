import type { AbortStep, CreateEntryStep, FlowStep, Handler } from "../../../protocol/flow.ts";
import type { Sealing } from "../tokens/sealing.ts";
import type { Flow } from "./flow-record.ts";

/** Why a flow ends without a login. The first two are Home Assistant's reasons. */
export type AbortReason =
  | "login_expired"
  | "too_many_retry"
  | "cancelled"
  | "not_allowed"
  | "credential_exists"
  | "credential_in_use"
  | "approvals_full"
  | "not_approved"
  | "unknown_error"
  | "second_factor_required"
  | "ended_elsewhere";

type FlowName = Pick<Flow, "id" | "handler">;

/** The last step that was sent, in Home Assistant's format, key for key. */
export function sentStep(
  { sealing }: { readonly sealing: Pick<Sealing, "open"> },
  { id, handler, step, serverFinal }: Flow,
): FlowStep {
  const about = {
    flow_id: id,
    handler: wireHandler(handler),
    step_id: step.stepId,
    ...provedBy({ serverFinal }),
  };
  const secrets =
    step.kind === "form" && step.secrets !== undefined ? openTexts(sealing, id, step.secrets) : {};
  const description_placeholders =
    Object.keys(secrets).length === 0 ? step.placeholders : { ...step.placeholders, ...secrets };
  switch (step.kind) {
    case "form":
      return {
        type: "form",
        ...about,
        ...(step.mechanisms === undefined ? {} : { mechanisms: step.mechanisms }),
        ...(step.mayBeSent === true ? { send_password: true } : {}),
        data_schema: [...step.fields],
        errors: step.errors,
        description_placeholders,
        last_step: null,
        preview: null,
      };
    case "external":
      return { type: "external", ...about, url: step.url, description_placeholders };
    case "progress":
      return { type: "progress", ...about, progress_action: step.action, description_placeholders };
  }
}

/** Texts that a flow's record keeps sealed: for the flow alone. */
export function sealTexts(
  sealing: Pick<Sealing, "seal">,
  flowId: string,
  texts: Readonly<Record<string, string>>,
): string {
  return sealing.seal(boxName(flowId), Buffer.from(JSON.stringify(texts)));
}

export function openTexts(
  sealing: Pick<Sealing, "open">,
  flowId: string,
  box: string,
): Readonly<Record<string, string>> {
  return JSON.parse(sealing.open(boxName(flowId), box).toString());
}

function boxName(flowId: string): string {
  return `login flow ${flowId}`;
}

export function abortStep({ id, handler }: FlowName, reason: AbortReason | (string & {})): AbortStep {
  return {
    type: "abort",
    flow_id: id,
    handler: wireHandler(handler),
    reason,
    description_placeholders: null,
  };
}

export function entryStep(
  { id, handler, serverFinal }: FlowName & Pick<Flow, "serverFinal">,
  result: CreateEntryStep["result"],
): CreateEntryStep {
  return {
    type: "create_entry",
    flow_id: id,
    handler: wireHandler(handler),
    description: null,
    description_placeholders: null,
    result,
    ...provedBy({ serverFinal }),
  };
}

function provedBy({ serverFinal }: Pick<Flow, "serverFinal">) {
  return serverFinal === undefined ? {} : { server_final: serverFinal };
}

function wireHandler([type, id]: Handler): Handler {
  return [type, id];
}
