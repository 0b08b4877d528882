import { approvalOnWire } from "../auth/users/approval-on-wire.ts";
import type { Command } from "../connection/command.ts";
import { infoOf } from "./config-auth.ts";
import { limitsOf } from "./delegates.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";
import { requireStepUpForGroups } from "./step-up-for-rights.ts";
import { requireApprover } from "./who-may-decide.ts";

/** Decisions on users who wait for approval. */
export function approvalCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  const { approvals } = authority;
  return [
    defineCommand("gatehouse/approvals/list", authority, async (_, session) => {
      await requireApprover(parts.authority, session, "gatehouse/approvals/list");
      return { waiting: (await approvals.list()).map(approvalOnWire) };
    }),
    defineCommand("gatehouse/approvals/approve", authority, async ({ user_id, group_ids }, session) => {
      await requireApprover(parts.authority, session, "gatehouse/approvals/approve");
      await authority.stepUps.require("approvals", session.principal);
      await requireStepUpForGroups(authority, group_ids ?? [], session);
      const { permitApproval } = await limitsOf(authority, session, "gatehouse/approvals/approve");
      const audited = parts.authorityOf(session).approvals;
      const user = await audited.approve(user_id, group_ids, async (change) => {
        // Without groups in the message they are those of the user who waits, as they are when this is committed.
        await requireStepUpForGroups(authority, change.after?.groupIds ?? [], session);
        return await permitApproval(change);
      });
      return { user: await infoOf(parts, user) };
    }),
    defineCommand("gatehouse/approvals/refuse", authority, async ({ user_id }, session) => {
      await requireApprover(parts.authority, session, "gatehouse/approvals/refuse");
      await parts.authorityOf(session).approvals.refuse(user_id);
      return null;
    }),
  ];
}
