import type { Policy } from "../../protocol/policy.ts";
import type { Authority } from "../auth/authority.ts";
import type { KnownGroup } from "../auth/permissions/group-table.ts";
import type { RevokeReceipt } from "../auth/revocation/receipt.ts";
import { endedNote } from "./factors.ts";
import { findGroup, groupNamesOf } from "./group-names.ts";
import { type Output, table, UsageError } from "./output.ts";
import { readPolicyFile } from "./policy-file.ts";
import { confirmWithinMs, pendingNote, stateOf, stateWithin } from "./receipts.ts";
import { oneLine } from "./terminal-text.ts";
import { findUser } from "./users.ts";

export async function listGroups({ groups, secondFactors }: Authority, output: Output): Promise<void> {
  const [all, demanding] = await Promise.all([groups.list(), secondFactors.demandingGroups()]);
  const rows = all.map(({ id, name, systemGenerated, version }) => [
    id,
    oneLine(name),
    systemGenerated ? "system" : String(version),
    demanding.includes(id) ? "demanded" : "-",
  ]);
  const groupsAndDemands = all.map((group) => ({
    ...described(group),
    second_factor: demanding.includes(group.id),
  }));
  output.result(groupsAndDemands, table(["ID", "NAME", "VERSION", "SECOND FACTOR"], rows));
}

/** The group, its policy and its members. */
export async function showGroup(authority: Authority, spelled: string, output: Output): Promise<void> {
  const group = await findGroup(authority, spelled);
  const members = (await authority.users.list()).filter(({ groupIds }) => groupIds.includes(group.id));
  const isDemanded = (await authority.secondFactors.demandingGroups()).includes(group.id);
  const lines = [
    `${oneLine(group.name)} (${group.id}), version ${group.version}`,
    ...(isDemanded ? ["members must have a second factor"] : []),
    JSON.stringify(group.policy, null, 2),
    ...members.map((user) => `member ${user.id} ${oneLine(user.name ?? "-")}`),
  ];
  output.result(
    { ...described(group), second_factor: isDemanded, user_ids: members.map((user) => user.id) },
    lines.join("\n"),
  );
}

export async function createGroup(
  authority: Authority,
  request: { readonly name: string; readonly policyFile: string | undefined },
  output: Output,
): Promise<void> {
  const { name } = request;
  requireName(name);
  const policy = request.policyFile === undefined ? {} : await readPolicyFile(request.policyFile);
  const { group } = await authority.groups.create({ name, policy });
  output.result(
    described(group),
    `created ${oneLine(name)} (${group.id})${uselessNote(authority, group.policy)}`,
  );
}

export async function updateGroup(
  authority: Authority,
  request: {
    readonly spelled: string;
    readonly version: number | undefined;
    readonly name: string | undefined;
    readonly policyFile: string | undefined;
  },
  output: Output,
): Promise<void> {
  const { name, policyFile } = request;
  if (name === undefined && policyFile === undefined) throw new UsageError("give --name or --policy-file");
  if (name !== undefined) requireName(name);
  const policy = policyFile === undefined ? undefined : await readPolicyFile(policyFile);
  const before = await findGroup(authority, request.spelled);
  const { id } = before;
  const version = request.version ?? before.version;
  const { group, receipt } = await authority.groups.update(id, version, { name, policy });
  const state = await stateWithin(authority.revocation, receipt, confirmWithinMs);
  output.result(
    { ...described(group), revocation: stateOf(state) },
    `changed ${oneLine(group.name)} (${id}), version ${group.version}${pendingNote(state)}${uselessNote(authority, group.policy)}`,
  );
}

export async function deleteGroup(
  authority: Authority,
  request: { readonly spelled: string; readonly version: number | undefined },
  output: Output,
): Promise<void> {
  const { id, name, version } = await findGroup(authority, request.spelled);
  const receipt = await authority.groups.delete(id, request.version ?? version);
  await told(authority, receipt, output, {
    about: { id, deleted: true },
    text: `deleted ${oneLine(name)} (${id})`,
  });
}

export async function addMember(
  authority: Authority,
  { spelled, user }: { readonly spelled: string; readonly user: string },
  output: Output,
): Promise<void> {
  const { id: groupId } = await findGroup(authority, spelled);
  const { id: userId } = await findUser(authority, user);
  const { user: member, sessionsEnded } = await authority.groups.addMember({ groupId, userId });
  const names = (await groupNamesOf(authority, member.groupIds)).map(oneLine).join(", ");
  output.result(
    { user_id: userId, group_ids: member.groupIds, sessions_ended: sessionsEnded },
    `${oneLine(user)} is in ${names}${endedNote(sessionsEnded)}`,
  );
}

export async function removeMember(
  authority: Authority,
  { spelled, user }: { readonly spelled: string; readonly user: string },
  output: Output,
): Promise<void> {
  const { id: groupId, name } = await findGroup(authority, spelled);
  const { id: userId } = await findUser(authority, user);
  const receipt = await authority.groups.removeMember({ groupId, userId });
  await told(authority, receipt, output, {
    about: { user_id: userId, group_id: groupId, removed: true },
    text: `${oneLine(user)} is not in ${oneLine(name)} any more`,
  });
}

async function told(
  { revocation }: Authority,
  receipt: RevokeReceipt,
  output: Output,
  { about, text }: { readonly about: object; readonly text: string },
): Promise<void> {
  const state = await stateWithin(revocation, receipt, confirmWithinMs);
  output.result({ ...about, revocation: stateOf(state) }, `${text}${pendingNote(state)}`);
}

/** Of namespaces that the policy may name, and that give nothing under this configuration. */
function uselessNote({ approvals }: Authority, { commands }: Policy): string {
  const named = commands === undefined || commands === true ? {} : (commands.namespaces ?? {});
  const useless = Object.keys(named).filter((namespace) => approvals.isOwnersAlone(namespace));
  if (useless.length === 0) return "";
  return `\n${useless.join(", ")} gives nothing now: only the owner approves. Set approvals.by to administrators to change that`;
}

function described({ id, name, systemGenerated, version, policy }: KnownGroup) {
  return { id, name, system_generated: systemGenerated, version, policy };
}

function requireName(name: string): void {
  if (name.trim() === "" || name.length > 128) throw new UsageError("a name has 1 to 128 characters");
}
