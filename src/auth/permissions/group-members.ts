import { AuthError } from "../errors.ts";
import type { EndedSessions, FactorDemands } from "../factors/demands.ts";
import type { User } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { RevokeReceipt } from "../revocation/receipt.ts";
import type { Revocation } from "../revocation/revocation.ts";
import { type Checks, mergeSteps, retryConflicts, type Store, unlessConflict } from "../store.ts";
import { changeUserStep } from "../users/user-changes.ts";
import { readUserStatus } from "../users/user-record.ts";
import type { PermitUserChange } from "../users/users.ts";
import { requireGroup } from "./group-versions.ts";
import type { KnownGroups } from "./known-groups.ts";
import { isSystemGroup } from "./system-groups.ts";

export interface Membership {
  readonly groupId: string;
  readonly userId: string;
  /** Undefined: whatever the group's version is. */
  readonly version?: number | undefined;
  /** Whether the sender may make the change of the user. */
  readonly permit?: PermitUserChange | undefined;
}

export interface NewMember extends EndedSessions {
  readonly user: User;
}

/** Members of groups: a part of the rights of each user. */
export interface GroupMembers {
  /** Also for somebody who is a member already. Ends the member's sessions that are below what the group demands. */
  add(membership: Membership): Promise<NewMember>;
  remove(membership: Membership): Promise<RevokeReceipt>;
}

export interface GroupMembersOptions {
  readonly store: Store;
  readonly revocation: Pick<Revocation, "track">;
  readonly known: Pick<KnownGroups, "existing">;
  readonly demands: Pick<FactorDemands, "commitChange" | "enforce">;
}

/** Most groups of one user, as the other commands take them. */
const mostGroupsOfUser = 64;

export function createGroupMembers({ store, revocation, known, demands }: GroupMembersOptions): GroupMembers {
  const read = async (membership: Membership) => {
    const checks = await membershipChecks(store, membership);
    const before = await readUserStatus(store, membership.userId);
    if (before === undefined) throw new AuthError("not_found", { publicMessage: "User not found" });
    return { before, checks };
  };
  /** Ids of deleted groups stay in the user's record until it is full. */
  const groupsWithRoom = async ({ groupIds }: User) =>
    groupIds.length < mostGroupsOfUser ? groupIds : await known.existing(groupIds);
  return {
    add: (membership) =>
      retryConflicts(async () => {
        const { before, checks } = await read(membership);
        const { user } = before;
        const present = await groupsWithRoom(user);
        const after = { ...user, groupIds: [...new Set([...present, membership.groupId])] };
        // Also of somebody who is in the group: whoever may not change them does not learn it.
        const permitted = (await membership.permit?.({ before: user, after })) ?? [];
        if (user.groupIds.includes(membership.groupId)) {
          // An earlier call may have failed midway.
          return { user, ...(await demands.enforce(user.id)) };
        }
        if (after.groupIds.length > mostGroupsOfUser)
          throw new AuthError("not_allowed", {
            publicMessage: `A user is in at most ${mostGroupsOfUser} groups`,
          });
        const step = mergeSteps({ check: [...checks, ...permitted] }, changeUserStep(before, after));
        const ended = await demands.commitChange(after, step);
        return ended && { user: after, ...ended };
      }),
    remove: (membership) =>
      retryConflicts(async () => {
        const { before, checks } = await read(membership);
        const { user } = before;
        const groupIds = user.groupIds.filter((id) => id !== membership.groupId);
        const permitted = (await membership.permit?.({ before: user, after: { ...user, groupIds } })) ?? [];
        if (groupIds.length === user.groupIds.length)
          throw new AuthError("not_found", { publicMessage: "The user is not in the group" });
        return await unlessConflict(
          revocation.track((revocationId) =>
            mergeSteps(
              { check: [...checks, ...permitted] },
              changeUserStep(before, { ...user, groupIds }, revocationId),
            ),
          ),
        );
      }),
  };
}

/** A group that is deleted or changed at the same moment gets no member. */
async function membershipChecks(store: Store, { groupId, version }: Membership): Promise<Checks> {
  if (isSystemGroup(groupId)) {
    if (version !== undefined && version !== 0) throw new AuthError("conflict");
    return [];
  }
  const { recordVersion } = await requireGroup(store, groupId, version);
  return [{ key: recordKeys.group(groupId), version: recordVersion }];
}
