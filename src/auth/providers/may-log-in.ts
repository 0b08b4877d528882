import { isLocalAddress } from "../../net/local-address.ts";
import type { Peer, User } from "../model.ts";

/**
 * Whether a user may log in from there: not deactivated and not waiting for approval, not of the system, and at home if
 * local-only. A no is never explained to the person: it reads as a wrong password.
 */
export function mayLogIn(user: User, peer: Peer): boolean {
  return user.isActive && !user.systemGenerated && (!user.localOnly || isLocalAddress(peer.address));
}
