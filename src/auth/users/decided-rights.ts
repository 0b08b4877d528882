import type { Rights, User } from "../model.ts";
import { isLessPowerful } from "../permissions/groups.ts";
import type { RightsDecision } from "../revocation/view.ts";
import { rightsVersionOf, type StoredUser } from "./user-changes.ts";
import { lesserState } from "./user-state.ts";

/**
 * A user as a record has it, without what the log has taken since: a record that was read before its user's change came,
 * or at a server that has not got it, gives nobody what is lost. Undefined for a user who was removed. From the owner
 * nothing is taken that never was (see `Users`).
 */
export function applyDecidedRights(read: StoredUser, decided: RightsDecision | undefined): User | undefined {
  if (decided === undefined || rightsVersionOf(read) >= decided.version) return read.user;
  if (decided.rights !== null) return restrictRights(read.user, decided.rights);
  return read.user.isOwner ? read.user : undefined;
}

/** Only takes: activation, logins from elsewhere and the more powerful groups. The owner stays active. */
export function restrictRights(user: User, rights: Rights): User {
  return {
    ...user,
    state: user.isOwner ? user.state : lesserState(user.state, rights.state),
    localOnly: user.localOnly || rights.localOnly,
    groupIds: isLessPowerful(rights.groupIds, user.groupIds) ? rights.groupIds : user.groupIds,
  };
}
