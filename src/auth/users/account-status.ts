import type { CloseName } from "../../../protocol/close-codes.ts";
import { isLocalAddress } from "../../net/local-address.ts";
import { AuthError } from "../errors.ts";
import type { Peer, Rights, User } from "../model.ts";

/*
 * Whether a user may act, asked by everything that lets one in, gives one something, or keeps one. Nothing else looks at
 * a user's state or at where they may come from.
 */

/** Not waiting for approval, and not deactivated. */
export function isActive({ state }: Pick<Rights, "state">): boolean {
  return state === "active";
}

/** A local-only user from elsewhere may not. */
export function mayConnectFrom({ localOnly }: Pick<Rights, "localOnly">, { address }: Peer): boolean {
  return !localOnly || isLocalAddress(address);
}

/** True if the user may authenticate from nowhere, or from local addresses only. */
export function isRestricted(user: Rights): boolean {
  return !isActive(user) || user.localOnly;
}

/** What the sockets of such a user are closed with; undefined for one whose sockets stay. */
export function closeReason(user: Rights, peer: Peer): CloseName | undefined {
  if (!isActive(user)) return "user_deactivated";
  return mayConnectFrom(user, peer) ? undefined : "address_not_allowed";
}

/** Throws `access_denied` for a user who is not active, wherever they are. */
export function refuseInactive(user: Rights | undefined): asserts user is Rights {
  if (user === undefined || !isActive(user))
    throw new AuthError("access_denied", { publicMessage: "User is not active" });
}

/**
 * For who has proved to hold the user's code or token: `access_denied` with Home Assistant's texts (reference 3.2), or
 * undefined for a user who may.
 */
export function blockedError(user: User, peer: Peer): AuthError | undefined {
  if (!isActive(user)) return new AuthError("access_denied", { publicMessage: "User is not active" });
  if (mayConnectFrom(user, peer)) return undefined;
  return new AuthError("access_denied", { publicMessage: "User cannot authenticate remotely" });
}

export function refuseBlockedUser(user: User, peer: Peer): void {
  const error = blockedError(user, peer);
  if (error !== undefined) throw error;
}

/**
 * Whether a user may log in from there: not deactivated and not waiting for approval, not of the system, and at home if
 * local-only. A no is never explained to the person: it reads as a wrong password.
 */
export function mayLogIn(user: User, peer: Peer): boolean {
  return isActive(user) && !user.systemGenerated && mayConnectFrom(user, peer);
}
