import { AuthError } from "../auth/errors.ts";
import { isPending } from "../auth/users/account-status.ts";
import type { Users } from "../auth/users/users.ts";
import type { Session } from "../connection/session.ts";
import type { CommandAuthority } from "./registry.ts";

/**
 * Only whoever may approve changes, activates or removes a user who waits for approval. Throws `unauthorized`.
 */
export async function requireApproverForPending(
  { users, approvals }: Pick<CommandAuthority, "users" | "approvals">,
  userId: string,
  { principal }: Session,
): Promise<void> {
  if (!isPending(await users.current(userId))) return;
  const actor = await users.current(principal.userId);
  if (actor === undefined || !approvals.mayDecide(actor)) throw new AuthError("unauthorized");
}

/**
 * Only the owner may change what belongs to the owner. Otherwise an administrator could replace the owner's login and
 * become the owner. Home Assistant guards only the password and the login name. Throws `unauthorized`.
 */
export async function requireOwnerForOwner(
  users: Pick<Users, "current">,
  userId: string | undefined,
  { principal }: Session,
): Promise<void> {
  if (userId === undefined || userId === principal.userId) return;
  if ((await users.current(userId))?.isOwner === true) throw new AuthError("unauthorized");
}
