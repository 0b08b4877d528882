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

/** Waits for approval. */
export function isPending(user: Pick<Rights, "state"> | undefined): boolean {
  return user?.state === "pending";
}

/** False for a local-only user at a remote address. */
export function mayConnectFrom({ localOnly }: Pick<Rights, "localOnly">, { address }: Peer): boolean {
  return !localOnly || isLocalAddress(address);
}

/** True if the user may authenticate from nowhere, or from local addresses only. */
export function isRestricted(user: Rights): boolean {
  return !isActive(user) || user.localOnly;
}

/** The close reason for the user's sockets. Undefined: they stay open. */
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
 * For a caller who has proved to hold the user's code or token: `access_denied` with Home Assistant's texts, or
 * undefined if the user may act.
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
 * Whether a user may log in from this peer: not deactivated, not pending, not a system user, and at a local address
 * if local-only. The person is never told why not: the answer is the same as for a wrong password.
 */
export function mayLogIn(user: User, peer: Peer): boolean {
  return isActive(user) && !user.systemGenerated && mayConnectFrom(user, peer);
}
