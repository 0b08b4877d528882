import type { AbortStep, CreateEntryStep, FormStep, Handler, SessionGrant } from "../../../protocol/flow.ts";
import { expiresIn } from "../sessions/expires-in.ts";
import type { TokenGrant } from "../sessions/sessions.ts";
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

/** `now` in the clock's milliseconds; what is left of the access token is rounded down. */
export function sessionGrant(
  grant: TokenGrant & { readonly refreshToken: string },
  providerType: string,
  now: number,
): SessionGrant {
  return {
    access_token: grant.accessToken,
    token_type: "Bearer",
    expires_in: expiresIn(grant.accessTokenExpiresAt, now),
    refresh_token: grant.refreshToken,
    session_id: grant.session.id,
    ha_auth_provider: providerType,
  };
}

function wireHandler([type, id]: Handler): Handler {
  return [type, id];
}
