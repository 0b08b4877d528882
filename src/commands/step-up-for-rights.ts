import { systemGroups, type User } from "../auth/model.ts";
import { isActive, isPending } from "../auth/users/account-status.ts";
import type { UserPatch } from "../auth/users/users.ts";
import type { Session } from "../connection/session.ts";
import type { CommandAuthority } from "./registry.ts";

type StepUpAuthority = Pick<CommandAuthority, "stepUps">;

/** What every ordinary user may have. Home Assistant's clients put each new user into one of them. */
const ordinaryGroups: ReadonlySet<string> = new Set([systemGroups.users, systemGroups.readOnly]);

/** To give a user a group is to give rights, except for the groups of ordinary users. Throws `StepUpRequired`. */
export async function requireStepUpForGroups(
  { stepUps }: StepUpAuthority,
  given: readonly string[],
  { principal }: Session,
): Promise<void> {
  if (given.some((id) => !ordinaryGroups.has(id))) await stepUps.require("user_rights", principal);
}

/**
 * The same for a change of a user, by what it gives beside what the user has. To activate a user who waits is to approve
 * them.
 */
export async function requireStepUpForChange(
  authority: StepUpAuthority,
  before: User | undefined,
  { isActive: activates, groupIds }: UserPatch,
  session: Session,
): Promise<void> {
  if (before === undefined) return;
  if (activates === true && isPending(before))
    await authority.stepUps.require("approvals", session.principal);
  const had = isActive(before) ? before.groupIds : [];
  const has = activates === true || isActive(before) ? (groupIds ?? before.groupIds) : [];
  const given = has.filter((id) => !had.includes(id));
  await requireStepUpForGroups(authority, given, session);
}
