import type { CommandType } from "../../protocol/commands/index.ts";
import { AuthError } from "../auth/errors.ts";
import { isPending } from "../auth/users/account-status.ts";
import type { Users } from "../auth/users/users.ts";
import type { SocketSession } from "../connection/session.ts";
import type { CommandAuthority } from "./registry.ts";

type ApprovalAuthority = Pick<CommandAuthority, "users" | "approvals" | "permissions">;

/**
 * The guard lets every administrator pass, and those to whom a group gives it; the configuration may demand the owner.
 * Throws `unauthorized`.
 */
export async function requireApprover(
  { users, approvals, permissions }: ApprovalAuthority,
  { principal }: SocketSession,
  type: CommandType = "gatehouse/approvals/approve",
): Promise<void> {
  const user = await users.current(principal.userId);
  const { mayCommand } = await permissions.of(principal);
  const mayDecide = user !== undefined && (approvals.isDelegable || approvals.mayDecide(user));
  if (!mayDecide || !mayCommand(type)) throw new AuthError("unauthorized");
}

/**
 * Only whoever may approve changes, activates or removes a user who waits for approval. Throws `unauthorized`.
 */
export async function requireApproverForPending(
  authority: ApprovalAuthority,
  userId: string,
  session: SocketSession,
): Promise<void> {
  if (isPending(await authority.users.current(userId))) await requireApprover(authority, session);
}

/**
 * Only the owner may change what belongs to the owner. Otherwise an administrator could replace the owner's login and
 * become the owner. Home Assistant guards only the password and the login name. Throws `unauthorized`.
 */
export async function requireOwnerForOwner(
  users: Pick<Users, "current">,
  userId: string | undefined,
  { principal }: SocketSession,
): Promise<void> {
  if (userId === undefined || userId === principal.userId) return;
  if ((await users.current(userId))?.isOwner === true) throw new AuthError("unauthorized");
}
