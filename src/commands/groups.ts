import type { GroupInfo } from "../../protocol/commands/groups.ts";
import type { RevocationState } from "../../protocol/commands/revoke.ts";
import { AuthError } from "../auth/errors.ts";
import type { KnownGroup } from "../auth/permissions/group-table.ts";
import type { RevokeReceipt } from "../auth/revocation/receipt.ts";
import type { Command } from "../connection/command.ts";
import type { Session } from "../connection/session.ts";
import { defineCommand } from "./guarded-command.ts";
import { requireApproverForPending, requireOwnerForOwner } from "./owner-only.ts";
import { pageRequestOf } from "./page-request.ts";
import type { CommandParts } from "./registry.ts";
import { stateOf } from "./revoke.ts";

/** Groups and their policies. */
export function groupCommands(parts: CommandParts): readonly Command[] {
  const { users, groups } = parts.authority;
  return [
    defineCommand("gatehouse/groups/list", users, async () => ({
      groups: (await groups.list()).map(summaryOf),
    })),
    defineCommand("gatehouse/groups/get", users, async ({ group_id }) =>
      infoOf(found(await groups.get(group_id))),
    ),
    defineCommand("gatehouse/groups/create", users, async ({ name, policy }, session) => {
      const { group } = await parts.authorityOf(session).groups.create({ name, policy });
      return infoOf(group);
    }),
    defineCommand("gatehouse/groups/update", users, async (message, session) => {
      const { group_id, version, name, policy, wait } = message;
      const changed = await parts.authorityOf(session).groups.update(group_id, version, { name, policy });
      return { group: infoOf(changed.group), revocation: await stateAfter(parts, changed.receipt, wait) };
    }),
    defineCommand("gatehouse/groups/delete", users, async ({ group_id, version, wait }, session) =>
      stateAfter(parts, await parts.authorityOf(session).groups.delete(group_id, version), wait),
    ),
    ...memberCommands(parts),
  ];
}

function memberCommands(parts: CommandParts): readonly Command[] {
  const { users, groups } = parts.authority;
  const requireChangeable = async (userId: string, session: Session) => {
    await requireOwnerForOwner(users, userId, session);
    await requireApproverForPending(parts.authority, userId, session);
  };
  return [
    defineCommand("gatehouse/groups/members/list", users, async (message) => {
      const { id } = found(await groups.get(message.group_id));
      const page = await users.page(pageRequestOf(message));
      const members = page.users.filter(({ groupIds }) => groupIds.includes(id));
      return { user_ids: members.map((user) => user.id), cursor: page.next ?? null };
    }),
    defineCommand("gatehouse/groups/members/add", users, async (message, session) => {
      const { group_id: groupId, user_id: userId, version } = message;
      await requireChangeable(userId, session);
      await parts.authorityOf(session).groups.addMember({ groupId, userId, version });
      return null;
    }),
    defineCommand("gatehouse/groups/members/remove", users, async (message, session) => {
      const { group_id: groupId, user_id: userId, version, wait } = message;
      await requireChangeable(userId, session);
      const receipt = await parts.authorityOf(session).groups.removeMember({ groupId, userId, version });
      return await stateAfter(parts, receipt, wait);
    }),
  ];
}

async function stateAfter(
  { authority: { revocation } }: CommandParts,
  receipt: RevokeReceipt,
  wait: boolean | undefined,
): Promise<RevocationState> {
  return stateOf(wait === true ? await revocation.settled(receipt) : receipt);
}

function found(group: KnownGroup | undefined): KnownGroup {
  if (group === undefined) throw new AuthError("not_found", { publicMessage: "Group not found" });
  return group;
}

function summaryOf({ id, name, systemGenerated, version }: KnownGroup) {
  return { group_id: id, name, system_generated: systemGenerated, version };
}

function infoOf(group: KnownGroup): GroupInfo {
  return { ...summaryOf(group), policy: group.policy };
}
