import { AuthError } from "../auth/errors.ts";
import type { Users } from "../auth/users/users.ts";
import type { Session } from "../connection/session.ts";

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
