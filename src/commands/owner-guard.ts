import { AuthError } from "../auth/errors.ts";
import type { Users } from "../auth/users/users.ts";
import type { Session } from "../connection/session.ts";

/**
 * What is the owner's is changed by the owner alone: an administrator who could take the owner's login away and give
 * another would be the owner. Home Assistant guards the password and the login name only. Throws `unauthorized`.
 */
export async function requireOwnerForOwner(
  users: Pick<Users, "current">,
  userId: string | undefined,
  { principal }: Session,
): Promise<void> {
  if (userId === undefined || userId === principal.userId) return;
  if ((await users.current(userId))?.isOwner === true) throw new AuthError("unauthorized");
}
