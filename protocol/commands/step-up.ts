import { Type } from "typebox";

import { FlowStep, Handler } from "../flow.ts";
import { command, FlowId, UserInput } from "./define.ts";

/** The person logs in again on the session. Steps are those of a login. */
export const stepUpCommands = {
  "auth/step_up/start": command(
    "auth/step_up/start",
    "user",
    { flow_id: FlowId, handler: Handler },
    FlowStep,
  ),
  "auth/step_up/step": command(
    "auth/step_up/step",
    "user",
    { flow_id: FlowId, user_input: UserInput },
    FlowStep,
  ),
  "auth/step_up/cancel": command("auth/step_up/cancel", "user", { flow_id: FlowId }, Type.Null()),
} as const;
