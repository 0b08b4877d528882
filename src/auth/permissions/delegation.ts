import { type CommandType, commands } from "../../../protocol/commands/index.ts";
import type { Policy } from "../../../protocol/policy.ts";
import { systemGroups, type User } from "../model.ts";
import { isActive } from "../users/account-status.ts";
import { isInNamespace } from "./command-rules.ts";

/**
 * The commands of administrators that a group can give to others. Each compares what it does with the rights of its
 * sender, and does nothing to an administrator, the owner or a system user. Not here is what makes somebody able to
 * log in, or to guess, as somebody else: logins and passwords, registered clients, throttles.
 */
export const delegableCommands = [
  "config/auth/list",
  "config/auth/create",
  "config/auth/update",
  "config/auth/delete",
  "gatehouse/users/list",
  "gatehouse/users/sessions",
  "gatehouse/approvals/list",
  "gatehouse/approvals/approve",
  "gatehouse/approvals/refuse",
  "gatehouse/groups/list",
  "gatehouse/groups/get",
  "gatehouse/groups/create",
  "gatehouse/groups/update",
  "gatehouse/groups/delete",
  "gatehouse/groups/members/list",
  "gatehouse/groups/members/add",
  "gatehouse/groups/members/remove",
  "gatehouse/resources/list",
  "gatehouse/resources/set",
  "gatehouse/resources/remove",
  "gatehouse/revoke",
] as const satisfies readonly CommandType[];

const delegable: ReadonlySet<string> = new Set(delegableCommands);

export function isDelegable(type: string): boolean {
  return delegable.has(type);
}

/** Whether every command of administrators in the namespace can be given, and there is one. */
export function isDelegableNamespace(namespace: string): boolean {
  const inside = Object.entries(commands).filter(
    ([type, { guard }]) => (guard === "admin" || guard === "owner") && isInNamespace(type, namespace),
  );
  return inside.length > 0 && inside.every(([type]) => delegable.has(type));
}

/** Somebody to whom a group gives a command, or an administrator whose token is narrowed. */
export interface Delegate {
  readonly localOnly: boolean;
  /** Whether they may do everything that the policy gives. */
  covers(policy: Policy): boolean;
}

/** What a change makes of a user. Before undefined: created. After undefined: removed. */
export interface UserChange {
  readonly before: User | undefined;
  readonly after: User | undefined;
}

/**
 * Whether a delegate may make the change: nobody gives what they lack, and nobody but administrators makes an
 * administrator or does anything to one. `isApproval`: the configuration has chosen what a user who waits may do, and the
 * delegate only lets the user in.
 */
export function mayChangeUser(
  delegate: Delegate,
  { before, after }: UserChange,
  policyOf: (groupId: string) => Policy | undefined,
  isApproval = false,
): boolean {
  if (before !== undefined && isAboveDelegates(before)) return false;
  if (after === undefined) return true;
  if (isAboveDelegates(after)) return false;
  // Whoever becomes active gets everything at that moment.
  const wakes = before !== undefined && !isActive(before) && isActive(after);
  const had = before === undefined || (wakes && !isApproval) ? undefined : before;
  if (had?.localOnly !== false && !after.localOnly && delegate.localOnly) return false;
  return after.groupIds
    .filter((id) => had?.groupIds.includes(id) !== true)
    .every((id) => delegate.covers(policyOf(id) ?? {}));
}

/** Administrators, also those who are not active, the owner, and services. */
export function isAboveDelegates({ isOwner, systemGenerated, groupIds }: User): boolean {
  return isOwner || systemGenerated || groupIds.includes(systemGroups.admin);
}
