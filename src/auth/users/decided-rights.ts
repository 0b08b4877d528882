import type { Rights, User } from "../model.ts";
import { isLessPowerful } from "../permissions/groups.ts";
import type { RightsDecision } from "../revocation/view.ts";
import { rightsVersionOf, type StoredUser } from "./user-changes.ts";
import { lesserState } from "./user-state.ts";

/**
 * A user from a record, without the rights that the log has removed since. So a record that was read before a change,
 * or at a server that has not received it, grants nothing that was lost. Undefined for a removed user. An owner is
 * never removed (see `Users`).
 */
export function applyDecidedRights(read: StoredUser, decided: RightsDecision | undefined): User | undefined {
  if (decided === undefined || rightsVersionOf(read) >= decided.version) return read.user;
  if (decided.rights !== null) return restrictRights(read.user, decided.rights);
  return read.user.isOwner ? read.user : undefined;
}

/** Only removes rights: activation, remote access and more powerful groups. The owner stays active. */
export function restrictRights(user: User, rights: Rights): User {
  return {
    ...user,
    state: user.isOwner ? user.state : lesserState(user.state, rights.state),
    localOnly: user.localOnly || rights.localOnly,
    groupIds: isLessPowerful(rights.groupIds, user.groupIds) ? rights.groupIds : user.groupIds,
  };
}
