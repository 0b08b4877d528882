import { approvalOnWire } from "../auth/users/approval-on-wire.ts";
import type { Command } from "../connection/command.ts";
import { infoOf } from "./config-auth.ts";
import { defineCommand } from "./guarded-command.ts";
import { requireApprover } from "./owner-only.ts";
import type { CommandParts } from "./registry.ts";

/** Decisions on users who wait for approval. */
export function approvalCommands(parts: CommandParts): readonly Command[] {
  const { users, approvals } = parts.authority;
  return [
    defineCommand("gatehouse/approvals/list", users, async (_, session) => {
      await requireApprover(parts.authority, session);
      return { waiting: (await approvals.list()).map(approvalOnWire) };
    }),
    defineCommand("gatehouse/approvals/approve", users, async ({ user_id, group_ids }, session) => {
      await requireApprover(parts.authority, session);
      const user = await parts.authorityOf(session).approvals.approve(user_id, group_ids);
      return { user: await infoOf(parts, user) };
    }),
    defineCommand("gatehouse/approvals/refuse", users, async ({ user_id }, session) => {
      await requireApprover(parts.authority, session);
      await parts.authorityOf(session).approvals.refuse(user_id);
      return null;
    }),
  ];
}
