import { AuthError } from "../errors.ts";
import { isLocalAddress } from "../local-address.ts";
import type { Peer, User } from "../model.ts";

/** For who has proved to hold the user's code or token. Throws `access_denied` with Home Assistant's texts (reference 3.2). */
export function refuseBlockedUser(user: User, peer: Peer): void {
  if (!user.isActive) throw new AuthError("access_denied", { publicMessage: "User is not active" });
  if (user.localOnly && !isLocalAddress(peer.address))
    throw new AuthError("access_denied", { publicMessage: "User cannot authenticate remotely" });
}
