import type { CloseName } from "../../protocol/close-codes.ts";
import type { Peer, Principal } from "./model.ts";

export type Verdict =
  | { readonly ok: true; readonly principal: Principal }
  /** Final: `auth_invalid` with `message`, then a close with `close`. `reason` is for log and metrics. */
  | { readonly ok: false; readonly close: CloseName; readonly message: string; readonly reason: string };

/** From an access token to a principal: connect → authenticated, the hot path (D3). */
export interface Authentication {
  /**
   * Synchronous, without any store call, for every token that the revocation view can judge; a promise for one that
   * is older than the view. Throws, or rejects with, `AuthError("unavailable")` when nothing can be said now: that is
   * never `auth_invalid`.
   */
  authenticate(token: string, peer: Peer): Verdict | Promise<Verdict>;
  /**
   * The last check, after the connection entered the hub's index, so that no revoke can pass in between. Undefined:
   * still good.
   */
  recheck(principal: Principal): CloseName | undefined;
}
