import type { CommandType } from "../../protocol/commands/index.ts";
import { AuthError } from "../auth/errors.ts";
import type { User } from "../auth/model.ts";
import {
  type Delegate,
  isAboveDelegates,
  mayChangeUser,
  type UserChange,
} from "../auth/permissions/delegation.ts";
import type { PermitPolicies } from "../auth/permissions/groups.ts";
import { recordKeys } from "../auth/record-keys.ts";
import type { Checks } from "../auth/store.ts";
import type { PermitUserChange } from "../auth/users/users.ts";
import type { SocketSession } from "../connection/session.ts";
import type { CommandAuthority } from "./registry.ts";

/** What the sender of a command of administrators may do with it. All throw `unauthorized`. */
export interface SenderLimits {
  /** False: what the sender changes is compared with their own rights. */
  readonly isAdmin: boolean;
  /**
   * Asked again before each commit, by the rights of that moment: those of the sender may have been taken while the command
   * waited, or while its commit was in conflict. On this node nothing follows the answer to that.
   */
  readonly permitUserChange: PermitUserChange;
  /** The same for users who wait for approval: what the configuration has chosen for them is not compared. */
  readonly permitApproval: PermitUserChange;
  /** The same for policies: refuses one that gives what the sender lacks. */
  readonly permitPolicies: PermitPolicies;
  /** The same for a group that is deleted: refuses one that demands a second factor, because only administrators lift a demand. */
  permitDeletion(groupId: string): PermitPolicies;
  /** Refuses administrators, the owner and system users. */
  requireBelow(user: User): void;
}

type LimitAuthority = Pick<CommandAuthority, "users" | "permissions" | "groups" | "secondFactors">;

interface Sender {
  /** That the sender's record and groups are unchanged: a commit with them is none by rights that were taken meanwhile. */
  readonly checks: Checks;
  readonly isAdmin: boolean;
  readonly delegate: Delegate;
}

/** `type`: the command, which the sender must still be allowed to send. */
export async function limitsOf(
  authority: LimitAuthority,
  session: SocketSession,
  type: CommandType,
): Promise<SenderLimits> {
  const { isAdmin } = await senderNow(authority, session, type);
  const requireUndemanded = async (groupIds: readonly string[]) => {
    if (groupIds.length === 0) return [];
    const demanding = await authority.secondFactors.readDemands();
    if (groupIds.some((id) => demanding.groupIds.includes(id))) throw new AuthError("unauthorized");
    return demanding.checks;
  };
  const senderWhoCovers = async (policies: Parameters<PermitPolicies>[0]) => {
    const sender = await senderNow(authority, session, type);
    if (!sender.isAdmin && !policies.every(sender.delegate.covers)) throw new AuthError("unauthorized");
    return sender;
  };
  const permit = async (change: UserChange, isApproval: boolean) => {
    const sender = await senderNow(authority, session, type);
    if (sender.isAdmin) return sender.checks;
    const { before, after } = change;
    // A user who is removed has nothing that a demand protects.
    const isChanged = before !== undefined && after !== undefined;
    const left = isChanged ? before.groupIds.filter((id) => !after.groupIds.includes(id)) : [];
    const demandChecks = await requireUndemanded(left);
    const ids = change.after?.groupIds ?? [];
    const groupChecks = await authority.groups.unchanged(ids);
    const known = await Promise.all(ids.map(authority.groups.get));
    const policyOf = (id: string) => known.find((group) => group?.id === id)?.policy;
    if (!mayChangeUser(sender.delegate, change, policyOf, isApproval)) throw new AuthError("unauthorized");
    return [...sender.checks, ...groupChecks, ...demandChecks];
  };
  return {
    isAdmin,
    permitPolicies: async (policies) => (await senderWhoCovers(policies)).checks,
    permitDeletion: (groupId) => async (policies) => {
      const sender = await senderWhoCovers(policies);
      return sender.isAdmin ? sender.checks : [...sender.checks, ...(await requireUndemanded([groupId]))];
    },
    permitUserChange: (change) => permit(change, false),
    permitApproval: (change) => permit(change, true),
    requireBelow(user) {
      if (!isAdmin && isAboveDelegates(user)) throw new AuthError("unauthorized");
    },
  };
}

async function senderNow(
  { users, permissions, groups }: LimitAuthority,
  session: SocketSession,
  type: CommandType,
): Promise<Sender> {
  const { principal } = session;
  const found = await users.read(principal.userId);
  if (found === undefined) throw new AuthError("unauthorized");
  // What the groups give is asked after that, and never less recent.
  const groupChecks = await groups.unchanged(found.user.groupIds);
  // By the record whose version the commit checks. This node may still know the one before it.
  const { isAdmin, covers, mayCommand } = await permissions.of(principal, found.user);
  if (!session.live || !mayCommand(type)) throw new AuthError("unauthorized");
  const checks = [{ key: recordKeys.user(principal.userId), version: found.version }, ...groupChecks];
  return { checks, isAdmin, delegate: { localOnly: found.user.localOnly, covers } };
}
