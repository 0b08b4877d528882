import type { Authority } from "../auth/authority.ts";
import { notRecorded, type Rules, records } from "./recording-rules.ts";

export const secondFactors: Rules<Authority["secondFactors"]> = {
  of: notRecorded,
  allOf: notRecorded,
  warnings: notRecorded,
  beginSetup: notRecorded,
  // A step that only asks on is no decision.
  advanceSetup:
    (advance, { actor, audit }) =>
    async (flowId, input, by) => {
      const step = await advance(flowId, input, by);
      if (step.type === "create_entry")
        audit.decided("factor_setup", "allowed", { userId: by.userId, factorIds: [step.handler], actor });
      else if (step.type === "abort" || step.errors.base !== undefined) {
        const reason = step.type === "abort" ? step.reason : step.errors.base;
        audit.decided("factor_setup", "denied", {
          userId: by.userId,
          factorIds: [step.handler],
          reason,
          actor,
        });
      }
      return step;
    },
  // What was asked for is what somebody typed; only what was removed is named.
  remove: records(
    "factor_removal",
    (_, { userId }) => ({ userId }),
    (factorIds) => ({ factorIds }),
  ),
  reset: records(
    "factor_reset",
    (userId) => ({ userId }),
    (factorIds) => ({ factorIds }),
  ),
  demandingGroups: notRecorded,
  readDemands: notRecorded,
  // Sessions that it ends are recorded as such.
  enforce: notRecorded,
  demand: records("factor_demand", (groupId, demanded) => ({ groupIds: [groupId], isDemanded: demanded })),
};
