import type { GroupInfo } from "../../protocol/commands/groups.ts";
import type { CommandType } from "../../protocol/commands/index.ts";
import type { RevocationState } from "../../protocol/commands/revoke.ts";
import { AuthError } from "../auth/errors.ts";
import type { KnownGroup } from "../auth/permissions/group-table.ts";
import type { RevokeReceipt } from "../auth/revocation/receipt.ts";
import type { Command } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import { limitsOf } from "./delegates.ts";
import { defineCommand } from "./guarded-command.ts";
import { pageRequestOf } from "./page-request.ts";
import type { CommandParts } from "./registry.ts";
import { stateOf } from "./revoke.ts";
import { requireStepUpForGroups } from "./step-up-for-rights.ts";
import { requireApproverForPending, requireOwnerForOwner } from "./who-may-decide.ts";

/** Groups and their policies. */
export function groupCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  const { groups, stepUps } = authority;
  return [
    defineCommand("gatehouse/groups/list", authority, async () => ({
      groups: (await groups.list()).map(summaryOf),
    })),
    defineCommand("gatehouse/groups/get", authority, async ({ group_id }) =>
      infoOf(found(await groups.get(group_id))),
    ),
    defineCommand("gatehouse/groups/create", authority, async ({ name, policy }, session) => {
      await stepUps.require("group_policy", session.principal);
      const { permitPolicies: permit } = await limitsOf(authority, session, "gatehouse/groups/create");
      const { group } = await parts.authorityOf(session).groups.create({ name, policy, permit });
      return infoOf(group);
    }),
    defineCommand("gatehouse/groups/update", authority, async (message, session) => {
      const { group_id, version, name, policy, wait } = message;
      if (policy !== undefined) await stepUps.require("group_policy", session.principal);
      const { permitPolicies: permit } = await limitsOf(authority, session, "gatehouse/groups/update");
      const changed = await parts
        .authorityOf(session)
        .groups.update(group_id, version, { name, policy, permit });
      return { group: infoOf(changed.group), revocation: await stateAfter(parts, changed.receipt, wait) };
    }),
    defineCommand("gatehouse/groups/delete", authority, async ({ group_id, version, wait }, session) => {
      await stepUps.require("group_policy", session.principal);
      const limits = await limitsOf(authority, session, "gatehouse/groups/delete");
      const permit = limits.permitDeletion(group_id);
      const receipt = await parts.authorityOf(session).groups.delete(group_id, version, permit);
      return await stateAfter(parts, receipt, wait);
    }),
    ...memberCommands(parts),
  ];
}

function memberCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  const { users, groups } = authority;
  const requireChangeable = async (userId: string, session: SocketSession, type: CommandType) => {
    await requireOwnerForOwner(users, userId, session);
    await requireApproverForPending(parts.authority, userId, session);
    return (await limitsOf(authority, session, type)).permitUserChange;
  };
  return [
    defineCommand("gatehouse/groups/members/list", authority, async (message) => {
      const { id } = found(await groups.get(message.group_id));
      const page = await users.page(pageRequestOf(message));
      const members = page.users.filter(({ groupIds }) => groupIds.includes(id));
      return { user_ids: members.map((user) => user.id), cursor: page.next ?? null };
    }),
    defineCommand("gatehouse/groups/members/add", authority, async (message, session) => {
      const { group_id: groupId, user_id: userId, version } = message;
      const permit = await requireChangeable(userId, session, "gatehouse/groups/members/add");
      await requireStepUpForGroups(authority, [groupId], session);
      await parts.authorityOf(session).groups.addMember({ groupId, userId, version, permit });
      return null;
    }),
    defineCommand("gatehouse/groups/members/remove", authority, async (message, session) => {
      const { group_id: groupId, user_id: userId, version, wait } = message;
      const permit = await requireChangeable(userId, session, "gatehouse/groups/members/remove");
      const membership = { groupId, userId, version, permit };
      const receipt = await parts.authorityOf(session).groups.removeMember(membership);
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
