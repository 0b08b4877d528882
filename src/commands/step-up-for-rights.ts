import { systemGroups, type User } from "../auth/model.ts";
import { isActive, isPending } from "../auth/users/account-status.ts";
import type { PermitUserChange, UserPatch } from "../auth/users/users.ts";
import type { SocketSession } from "../connection/session.ts";
import type { CommandAuthority } from "./registry.ts";

type StepUpAuthority = Pick<CommandAuthority, "stepUps">;
type UserAuthority = Pick<CommandAuthority, "stepUps" | "users">;

/** What every ordinary user may have. Home Assistant's clients put each new user into one of them. */
const ordinaryGroups: ReadonlySet<string> = new Set([systemGroups.users, systemGroups.readOnly]);

/** To give a user a group is to give rights, except for the groups of ordinary users. Throws `StepUpRequired`. */
export async function requireStepUpForGroups(
  { stepUps }: StepUpAuthority,
  given: readonly string[],
  { principal }: SocketSession,
): Promise<void> {
  if (given.some((id) => !ordinaryGroups.has(id))) await stepUps.require("user_rights", principal);
}

/**
 * The same for a change of a user, by what it gives beside what the user has. Whoever may log in from everywhere has their
 * groups where they had none. To activate a user who waits is to approve them, and their groups count before that: whoever
 * approves them later gives them.
 */
export async function requireStepUpForChange(
  authority: StepUpAuthority,
  before: User | undefined,
  { isActive: activates, groupIds, localOnly }: UserPatch,
  session: SocketSession,
): Promise<void> {
  if (before === undefined) return;
  const isApproval = activates === true && isPending(before);
  if (isApproval) await authority.stepUps.require("approvals", session.principal);
  const opens = before.localOnly && localOnly === false;
  const counts = isActive(before) || isPending(before);
  const had = counts && !isApproval && !opens ? before.groupIds : [];
  const has = counts || activates === true ? (groupIds ?? before.groupIds) : [];
  const given = has.filter((id) => !had.includes(id));
  await requireStepUpForGroups(authority, given, session);
}

/**
 * The same before each commit, for the user as it is at that moment: two changes at once must not give together what neither
 * of them gives alone.
 */
export function withStepUpForChange(
  authority: StepUpAuthority,
  patch: UserPatch,
  session: SocketSession,
  permit: PermitUserChange,
): PermitUserChange {
  return async (change) => {
    await requireStepUpForChange(authority, change.before, patch, session);
    return await permit(change);
  };
}

/**
 * Whoever gives a user a login can be that user. For oneself this is a matter of one's own credentials; for others it gives
 * the rights that they have. An ordinary user, or one who does not exist, has none that count. Throws `StepUpRequired`.
 */
export async function requireStepUpForLoginOf(
  authority: UserAuthority,
  userId: string,
  session: SocketSession,
): Promise<void> {
  const { principal } = session;
  if (userId === principal.userId) return await requireStepUpForOneself(authority, userId, session);
  const user = await authority.users.current(userId);
  if (user?.isOwner === true) await authority.stepUps.require("user_rights", principal);
  else await requireStepUpForGroups(authority, user?.groupIds ?? [], session);
}

/**
 * Whoever finds an unlocked device must neither give its user a login that they know, nor take one away. Throws
 * `StepUpRequired`.
 */
export async function requireStepUpForOneself(
  { stepUps }: StepUpAuthority,
  userId: string | undefined,
  { principal }: SocketSession,
): Promise<void> {
  if (userId === principal.userId) await stepUps.require("credentials", principal);
}
