import type { Rights, User } from "../model.ts";
import { commonGroups } from "../permissions/common-groups.ts";
import type { OwnerChange, RightsDecision } from "../revocation/view.ts";
import { withoutLostOwnership } from "./owner-changes.ts";
import { rightsVersionOf, type StoredUser } from "./user-changes.ts";
import { lesserState } from "./user-state.ts";

/**
 * A user from a record, without the rights that the log has removed since. So a record that was read before a change,
 * or at a server that has not received it, grants nothing that was lost. Undefined for a removed user. An owner is
 * never removed (see `Users`), except after another user became the owner.
 */
export function applyDecidedRights(
  read: StoredUser,
  decided: RightsDecision | undefined,
  ownerChange?: OwnerChange | undefined,
): User | undefined {
  const user = withoutLostOwnership(read, ownerChange);
  if (decided === undefined || rightsVersionOf(read) >= decided.version) return user;
  if (decided.rights !== null) return restrictRights(user, decided.rights);
  return user.isOwner ? user : undefined;
}

/** Only removes rights: activation, remote access and groups. The owner stays active. */
export function restrictRights(user: User, rights: Rights): User {
  return {
    ...user,
    state: user.isOwner ? user.state : lesserState(user.state, rights.state),
    localOnly: user.localOnly || rights.localOnly,
    groupIds: commonGroups(rights.groupIds, user.groupIds),
  };
}
