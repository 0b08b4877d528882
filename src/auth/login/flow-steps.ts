import type { AbortStep, CreateEntryStep, FlowStep, Handler } from "../../../protocol/flow.ts";
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
  | "ended_elsewhere";

type FlowName = Pick<Flow, "id" | "handler">;

/** The last step that was sent, in Home Assistant's format, key for key. */
export function sentStep({ id, handler, step }: Flow): FlowStep {
  const about = { flow_id: id, handler: wireHandler(handler), step_id: step.stepId };
  const description_placeholders = step.placeholders;
  switch (step.kind) {
    case "form":
      return {
        type: "form",
        ...about,
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

export function abortStep({ id, handler }: FlowName, reason: AbortReason | (string & {})): AbortStep {
  return {
    type: "abort",
    flow_id: id,
    handler: wireHandler(handler),
    reason,
    description_placeholders: null,
  };
}

export function entryStep({ id, handler }: FlowName, result: CreateEntryStep["result"]): CreateEntryStep {
  return {
    type: "create_entry",
    flow_id: id,
    handler: wireHandler(handler),
    description: null,
    description_placeholders: null,
    result,
  };
}

function wireHandler([type, id]: Handler): Handler {
  return [type, id];
}
