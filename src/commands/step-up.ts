import type { FlowStep } from "../../protocol/flow.ts";
import { answered, type Command } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";

/** The person logs in again on the session, so that the commands that wait for it run. */
export function stepUpCommands({ authority }: CommandParts): readonly Command[] {
  return [
    defineCommand(
      "auth/step_up/start",
      authority,
      async ({ id, flow_id, handler }, session): Promise<typeof answered> => {
        answer(id, session, await session.stepUp.start(id, flow_id, handler));
        return answered;
      },
    ),
    defineCommand(
      "auth/step_up/step",
      authority,
      async ({ id, flow_id, user_input }, session): Promise<typeof answered> => {
        answer(id, session, await session.stepUp.submit(flow_id, user_input));
        return answered;
      },
    ),
    defineCommand("auth/step_up/cancel", authority, ({ flow_id }, session) => {
      session.stepUp.cancel(flow_id);
      return null;
    }),
  ];
}

/** The step goes out before the answers of the commands that it lets run, or drops. */
function answer(id: number, session: SocketSession, step: FlowStep): void {
  session.send({ id, type: "result", success: true, result: step });
  session.stepUp.sent(step);
}
