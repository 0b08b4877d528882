import type { CloseName } from "../../protocol/close-codes.ts";
import { isLocalAddress } from "../net/local-address.ts";
import type { Clock } from "./clock/clock.ts";
import { AuthError } from "./errors.ts";
import type { Peer, Principal } from "./model.ts";
import { closeNameOf } from "./revocation/cause.ts";
import type { Revocation } from "./revocation/revocation.ts";
import type { MutableRevocationView } from "./revocation/view.ts";
import { createSessionStatusCache, type SessionStatus } from "./sessions/session-status.ts";
import type { Store } from "./store.ts";
import type { AccessTokens } from "./tokens/access-tokens.ts";
import type { KeyringKeys } from "./tokens/keyring.ts";

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
  /** The same for the principal of a token that was just made here, which need not be read again. */
  admit(principal: Principal, peer: Peer): Verdict | Promise<Verdict>;
  /**
   * The last check, after the connection entered the hub's index, so that no revoke can pass in between. Undefined:
   * still good. `unavailable` when something about the user changed since and the client has to come again.
   */
  recheck(principal: Principal): CloseName | undefined;
  /**
   * The store's word on callers that were let in before, in their order, in few reads: what the view remembers, and
   * whether it is trusted, does not matter. Undefined: goes on. Rejects with `unavailable` when the store cannot say.
   */
  review(callers: readonly Caller[]): Promise<readonly (CloseName | undefined)[]>;
}

/** Somebody who was let in, and from where. */
export interface Caller {
  readonly principal: Principal;
  readonly peer: Peer;
}

export interface AuthenticationOptions {
  readonly accessTokens: Pick<AccessTokens, "read">;
  readonly keyring: Pick<KeyringKeys, "isDropped">;
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Pick<Revocation, "onRevocation"> & { readonly view: MutableRevocationView };
  /** Looked-up sessions that are kept; 10,000 by default. */
  readonly capacity?: number;
}

export function createAuthentication(options: AuthenticationOptions): Authentication {
  const { accessTokens, keyring } = options;
  const { view } = options.revocation;
  const statuses = createSessionStatusCache(options);

  const judge = (principal: Principal, peer: Peer): Verdict | Promise<Verdict> => {
    if (!view.trusted)
      throw new AuthError("unavailable", { detail: "the revocation view is not up to date" });
    const judgement = view.judge(principal);
    switch (judgement.state) {
      case "live":
        return checkAddress(principal, peer);
      case "dead":
        return refused(closeNameOf(judgement.cause), judgement.cause);
      case "unknown":
        // The key may be dropped while the store is asked.
        return statuses
          .of(principal)
          .then((status) =>
            keyring.isDropped(principal.keyId) ? keyDropped() : judgeStatus(principal, status, peer),
          );
    }
  };

  return {
    admit: judge,
    authenticate(token, peer) {
      const reading = accessTokens.read(token);
      if (reading.ok) return judge(reading.principal, peer);
      // Genuine, so it was made here: a clock of ours is wrong, and no client is to give up for that.
      if (reading.reason === "not_yet_valid" || reading.reason === "unsure")
        throw new AuthError("unavailable", { detail: "clocks disagree on the token's time" });
      if (reading.reason === "key_dropped") return keyDropped();
      return refused(reading.reason === "expired" ? "token_expired" : "auth_invalid", reading.reason);
    },
    recheck(principal) {
      if (!view.trusted) return "unavailable";
      if (keyring.isDropped(principal.keyId)) return "token_expired";
      const judgement = view.judge(principal);
      if (judgement.state === "dead") return closeNameOf(judgement.cause);
      if (judgement.state === "live") return undefined;
      const status = statuses.known(principal.sessionId);
      if (status === undefined) return "unavailable";
      return status.live ? undefined : status.close;
    },
    async review(callers) {
      const found = await statuses.read(callers.map(({ principal }) => principal));
      return found.map((status, place) => {
        const caller = callers[place];
        const dropped = caller !== undefined && keyring.isDropped(caller.principal.keyId);
        return dropped && status.live ? "token_expired" : closeFor(status, caller);
      });
    },
  };
}

function closeFor(status: SessionStatus, caller: Caller | undefined): CloseName | undefined {
  if (!status.live) return status.close;
  if (caller === undefined) throw new RangeError("a status of nobody");
  return status.localOnly && !isLocalAddress(caller.peer.address) ? "address_not_allowed" : undefined;
}

/** The same words whatever was wrong: who shows a token that is not good learns nothing about any account. */
function refused(close: CloseName, reason: string): Verdict {
  return { ok: false, close, message: "Invalid access token or password", reason };
}

/** Its session may live on: whoever has a refresh token comes back with it. */
function keyDropped(): Verdict {
  return refused("token_expired", "key_dropped");
}

function checkAddress(principal: Principal, peer: Peer): Verdict {
  if (!principal.localOnly || isLocalAddress(peer.address)) return { ok: true, principal };
  return {
    ok: false,
    close: "address_not_allowed",
    message: "User cannot authenticate remotely",
    reason: "local_only",
  };
}

/** The store's word is newer than the token's. */
function judgeStatus(principal: Principal, status: SessionStatus, peer: Peer): Verdict {
  if (!status.live) return refused(status.close, status.close);
  const { epoch, localOnly, sessionExpiresAt } = status;
  return checkAddress({ ...principal, epoch, localOnly, sessionExpiresAt }, peer);
}
