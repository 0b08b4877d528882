import type { CloseName } from "../../protocol/close-codes.ts";
import type { Clock } from "./clock/clock.ts";
import { AuthError } from "./errors.ts";
import type { Assurance } from "./factors/assurance.ts";
import type { Peer, Principal } from "./model.ts";
import type { ProviderAdmission } from "./providers/registry.ts";
import { closeNameOf } from "./revocation/cause.ts";
import type { Revocation } from "./revocation/revocation.ts";
import type { MutableRevocationView } from "./revocation/view.ts";
import { createSessionStatusCache, type SessionStatus } from "./sessions/session-status.ts";
import type { Store } from "./store.ts";
import type { AccessTokens } from "./tokens/access-tokens.ts";
import type { KeyringKeys } from "./tokens/keyring.ts";
import { mayConnectFrom } from "./users/account-status.ts";

export type Verdict =
  | { readonly ok: true; readonly principal: Principal }
  /** Final: `auth_invalid` with `message`, then a close with `close`. `reason` is for log and metrics. */
  | { readonly ok: false; readonly close: CloseName; readonly message: string; readonly reason: string };

/** From an access token to a principal: the hot path from connect to `auth_ok`. */
export interface Authentication {
  /**
   * Synchronous and without a store call for every token that the revocation view can judge. Returns a promise for a
   * token that is older than the view. Throws, or rejects with, `AuthError("unavailable")` if the answer is not known
   * now; that is never `auth_invalid`.
   */
  authenticate(token: string, peer: Peer): Verdict | Promise<Verdict>;
  /** The same for a token that may be for a backend only: such a one opens nothing at the gateway. */
  inspect(token: string, peer: Peer): Verdict | Promise<Verdict>;
  /** The same for the principal of a token that was just minted here and need not be parsed again. */
  authenticateMinted(principal: Principal, peer: Peer): Verdict | Promise<Verdict>;
  /**
   * The last check, after the connection entered the hub's index, so that no revocation can be missed in between.
   * Undefined: the principal is still valid. `unavailable`: the user changed since, and the client must try again.
   */
  recheck(principal: Principal): CloseName | undefined;
  /**
   * Looks authenticated callers up in the store again, in few reads, whatever the view remembers and whether or not
   * it is trusted. The results are in the order of `callers`. Undefined: still valid. Rejects with `unavailable` if
   * the store cannot answer.
   */
  review(callers: readonly Caller[]): Promise<readonly (CloseName | undefined)[]>;
}

/** An authenticated caller and their address. */
export interface Caller {
  readonly principal: Principal;
  readonly peer: Peer;
}

type Admission = Pick<ProviderAdmission, "admits">;

export interface AuthenticationOptions {
  readonly accessTokens: Pick<AccessTokens, "read">;
  readonly keyring: Pick<KeyringKeys, "isDropped">;
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Pick<Revocation, "onSecurityEvent" | "whenApplied"> & {
    readonly view: MutableRevocationView;
  };
  readonly providers: Pick<ProviderAdmission, "admits">;
  readonly assurance: Pick<Assurance, "demandFrom">;
  /** How many looked-up sessions are cached; 10,000 by default. */
  readonly capacity?: number;
}

export function createAuthentication(options: AuthenticationOptions): Authentication {
  const { accessTokens, keyring, providers } = options;
  const { view } = options.revocation;
  const statuses = createSessionStatusCache(options);

  const judge = (principal: Principal, peer: Peer): Verdict | Promise<Verdict> => {
    if (!view.trusted)
      throw new AuthError("unavailable", { detail: "the revocation view is not up to date" });
    const judgement = view.judge(principal);
    switch (judgement.state) {
      case "live":
        return checkAddress(principal, peer, providers);
      case "dead":
        return refuse(closeNameOf(judgement.cause), judgement.cause);
      case "unknown":
        // The key may be dropped while the store is asked.
        return statuses
          .of(principal)
          .then((status) =>
            keyring.isDropped(principal.keyId)
              ? keyDropped()
              : judgeStatus(principal, status, peer, providers),
          );
    }
  };

  const authenticate = (token: string, peer: Peer, anyAudience: boolean) => {
    const reading = accessTokens.read(token);
    if (reading.ok && reading.principal.isForOtherAudience && !anyAudience)
      return refuse("auth_invalid", "other_audience");
    if (reading.ok) return judge(reading.principal, peer);
    // The token is genuine, so it was issued here and one of our clocks is wrong. No client may give up because of
    // that.
    if (reading.reason === "not_yet_valid" || reading.reason === "unsure")
      throw new AuthError("unavailable", { detail: "clocks disagree on the token's time" });
    if (reading.reason === "key_dropped") return keyDropped();
    return refuse(reading.reason === "expired" ? "token_expired" : "auth_invalid", reading.reason);
  };
  return {
    authenticateMinted: judge,
    authenticate: (token, peer) => authenticate(token, peer, false),
    inspect: (token, peer) => authenticate(token, peer, true),
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
        return dropped && status.live ? "token_expired" : closeFor(status, caller, providers);
      });
    },
  };
}

function closeFor(
  status: SessionStatus,
  caller: Caller | undefined,
  providers: Admission,
): CloseName | undefined {
  if (!status.live) return status.close;
  if (caller === undefined) throw new RangeError("a status of nobody");
  const { principal, peer } = caller;
  return mayConnectFrom(status, peer) && isAdmitted(principal, peer, providers)
    ? undefined
    : "address_not_allowed";
}

/** The message is the same for every reason: an invalid token reveals nothing about any account. */
function refuse(close: CloseName, reason: string): Verdict {
  return { ok: false, close, message: "Invalid access token or password", reason };
}

/** The session may still be live: the client can use its refresh token. */
function keyDropped(): Verdict {
  return refuse("token_expired", "key_dropped");
}

function isAdmitted({ judgedBy }: Principal, peer: Peer, providers: Admission): boolean {
  return judgedBy === null || providers.admits(judgedBy, peer);
}

function checkAddress(principal: Principal, peer: Peer, providers: Admission): Verdict {
  if (!isAdmitted(principal, peer, providers))
    return {
      ok: false,
      close: "address_not_allowed",
      message: "Not allowed by the login provider",
      reason: "provider",
    };
  if (mayConnectFrom(principal, peer)) return { ok: true, principal };
  return {
    ok: false,
    close: "address_not_allowed",
    message: "User cannot authenticate remotely",
    reason: "local_only",
  };
}

/** The store's status is newer than the token. */
function judgeStatus(principal: Principal, status: SessionStatus, peer: Peer, providers: Admission): Verdict {
  if (!status.live) return refuse(status.close, status.close);
  const { epoch, localOnly, sessionExpiresAt } = status;
  return checkAddress({ ...principal, epoch, localOnly, sessionExpiresAt }, peer, providers);
}
