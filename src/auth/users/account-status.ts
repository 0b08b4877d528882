import { isLocalAddress } from "../../net/local-address.ts";
import { AuthError } from "../errors.ts";
import type { Peer, User } from "../model.ts";

/**
 * For who has proved to hold the user's code or token: `access_denied` with Home Assistant's texts (reference 3.2), or
 * undefined for a user who may.
 */
export function blockOf(user: User, peer: Peer): AuthError | undefined {
  if (!user.isActive) return new AuthError("access_denied", { publicMessage: "User is not active" });
  if (!user.localOnly || isLocalAddress(peer.address)) return undefined;
  return new AuthError("access_denied", { publicMessage: "User cannot authenticate remotely" });
}

export function refuseBlockedUser(user: User, peer: Peer): void {
  const error = blockOf(user, peer);
  if (error !== undefined) throw error;
}

/**
 * Whether a user may log in from there: not deactivated and not waiting for approval, not of the system, and at home if
 * local-only. A no is never explained to the person: it reads as a wrong password.
 */
export function mayLogIn(user: User, peer: Peer): boolean {
  return user.isActive && !user.systemGenerated && (!user.localOnly || isLocalAddress(peer.address));
}
