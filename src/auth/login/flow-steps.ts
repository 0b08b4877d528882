import type { AbortStep, CreateEntryStep, FormStep, Handler } from "../../../protocol/flow.ts";
import type { Flow } from "./flow-record.ts";

/** Why a flow ends without a login; the first two are Home Assistant's words. */
export type AbortReason = "login_expired" | "too_many_retry" | "cancelled";

type FlowName = Pick<Flow, "id" | "handler">;

/** The waiting form in Home Assistant's shape (reference 3.2), key for key. */
export function formStep({ id, handler, form }: Flow): FormStep {
  return {
    type: "form",
    flow_id: id,
    handler: wireHandler(handler),
    step_id: form.stepId,
    data_schema: [...form.fields],
    errors: form.errors,
    description_placeholders: form.placeholders,
    last_step: null,
    preview: null,
  };
}

export function abortStep({ id, handler }: FlowName, reason: string): AbortStep {
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
