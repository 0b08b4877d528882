import type { Policy } from "../../../protocol/policy.ts";
import type { RegisteredClients } from "../clients/registered-clients.ts";
import type { Clock } from "../clock/clock.ts";
import type { Assurance, Demand } from "../factors/assurance.ts";
import type { AssuranceLevel, Credential, PageRequest, Peer, Principal, Session, User } from "../model.ts";
import type { ProviderAdmission } from "../providers/registry.ts";
import type { LogWriter } from "../revocation/log-writer.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { DisabledSafeguards } from "../safeguards.ts";
import { createKeyedQueue } from "../scheduling/keyed-queue.ts";
import type { LoopYielder } from "../scheduling/loop-yielder.ts";
import type { Step, Store } from "../store.ts";
import type { AccessTokens } from "../tokens/access-tokens.ts";
import type { RefreshTokens } from "../tokens/refresh-tokens.ts";
import { expireIfDue, setExpiry } from "./end-expired.ts";
import { issueAccessToken } from "./issue-access-token.ts";
import { openLongLived } from "./open-long-lived.ts";
import { openSession } from "./open-session.ts";
import { createRefresh } from "./refresh.ts";
import { isOver } from "./rotation-rule.ts";
import { type SessionCaps, trimSessions } from "./session-caps.ts";
import { findSession, listSessions, readSessionPage } from "./session-reading.ts";

export interface NewSession {
  readonly user: User;
  /**
   * The versions of the user record and of the user's epoch record that the login has read. The commit checks them.
   */
  readonly userVersion: number;
  readonly userEpoch: number;
  readonly credential: Credential | null;
  readonly clientId: string | null;
  readonly clientName: string | null;
  readonly rotates: boolean;
  readonly assurance: AssuranceLevel;
  readonly amr: readonly string[];
  readonly authenticatedAt: number;
  /** See `Session`. */
  readonly providerSession?: string | null | undefined;
  readonly scope?: string | null | undefined;
  readonly resource?: string | null | undefined;
  readonly policy?: Policy | undefined;
  readonly peer: Peer;
  /**
   * What policy demands of the user, if the caller has decided on that; `also` has its checks then. Absent: it is read now.
   */
  readonly demand?: Demand | undefined;
  /**
   * Committed in the same atomic step: the end of a flow, the use of a code, checks of what the login was decided on.
   */
  readonly also?: Step | ((sessionId: string) => Step);
}

export interface TokenGrant {
  readonly session: Session;
  readonly accessToken: string;
  /** The principal of the access token. */
  readonly principal: Principal;
  /** Absent if the client keeps the one that it has. */
  readonly refreshToken?: string | undefined;
}

/** Sessions: opened by a login, extended by refreshes, ended only by `revoke`. */
export interface Sessions {
  /**
   * Opens a normal session. If the user then has more than the cap, the least recently used ones end. Throws
   * `AuthError("conflict")` if the user, an epoch or anything in `also` changed meanwhile, and if policy demands more
   * assurance of the user.
   */
  open(request: NewSession): Promise<TokenGrant & { readonly refreshToken: string }>;
  /**
   * Opens a long-lived token, which is shown once. It has the assurance of the session that asks for it (`askedBy`).
   * Throws `client_name_exists`, `too_many_tokens`, `access_denied` (also if policy demands more assurance of the user),
   * and `unauthorized` if that session has ended before the commit.
   */
  openLongLived(request: {
    readonly userId: string;
    readonly clientName: string;
    readonly clientIcon: string | null;
    readonly days: number;
    readonly askedBy?: string;
    /** What the token may do at most; by default everything that the user may do. Throws `invalid_policy`. */
    readonly policy?: Policy | undefined;
  }): Promise<{ readonly session: Session; readonly accessToken: string }>;
  /**
   * Refreshes a session. If it rotates, a valid token gives the next one. Valid are the tokens that were issued for
   * the last used token, and that token itself, because its response may be lost. Any other ends the session, except
   * a concurrent tab's: within ten seconds of the last rotation and from the same address it gives the newest token
   * again. See `judgeGeneration`. A token with a higher generation than the record (the store went back in time)
   * moves the session forward. Throws `invalid_grant` (unknown, revoked, expired alike), `token_reused`,
   * `invalid_client` (another client's; a client id is compared when the session has one or the caller sends one; in
   * band only when the caller sends one), `unauthorized_client` (a registered client without the grant type),
   * `access_denied` (user not active or not allowed from this address), `invalid_scope` (more scopes than the session
   * has, or the client has none of them any more), `invalid_target`, `conflict` (retry).
   */
  refresh(request: {
    readonly refreshToken: string;
    readonly clientId?: string | null;
    /** In band: only this session's own token is accepted. */
    readonly sessionId?: string;
    readonly scope?: string | undefined;
    readonly resource?: string | undefined;
    /**
     * Whether a registered client has proved who it is, as far as it must. If not, as on a socket, sessions of clients
     * with a secret or a key are `invalid_client`, and those for a backend `invalid_target`. False by default.
     */
    readonly clientAuthenticated?: boolean | undefined;
    readonly peer: Peer;
  }): Promise<TokenGrant>;
  /**
   * Another access token of a live session, with these scopes and this audience: they must be allowed for it already.
   * Changes nothing. Undefined if the session is not live. Throws `access_denied` for a user who may not act.
   */
  issueAccessToken(
    sessionId: string,
    token: { readonly scope: string | null; readonly resource: string | null; readonly peer: Peer },
  ): Promise<TokenGrant | undefined>;
  /**
   * The live session that a refresh token of any generation belongs to, for RFC 7009: whoever holds the token may end
   * the session. Undefined if the token was not issued here or the session is not live. Changes nothing.
   */
  findByRefreshToken(refreshToken: string): Promise<Session | undefined>;
  /** The same, but undefined for a token that is over: one whose use would end the session. See `isOver`. */
  findByGoodRefreshToken(refreshToken: string): Promise<Session | undefined>;
  /** The live session, or undefined. */
  get(sessionId: string): Promise<Session | undefined>;
  /** Live sessions of a user, oldest first. Yields to other work. */
  list(userId: string): Promise<readonly Session[]>;
  /**
   * Live sessions of a user in the order of their ids. There may be fewer than requested, or none, although more
   * follow: continue after `next` until it is undefined.
   */
  listPage(
    userId: string,
    page: PageRequest,
  ): Promise<{ readonly sessions: readonly Session[]; readonly next: string | undefined }>;
  /**
   * Switches the expiry of a normal session on (counted from its last use) or off. Throws `invalid_token_id` unless
   * it is a live session of the principal's user.
   */
  setExpiry(principal: Principal, sessionId: string, enabled: boolean): Promise<void>;
  /**
   * Called for the sockets of a session when its known expiry has passed; reads the session again. If it has expired,
   * it is revoked with `session_expired` and the listeners of revocations are called. Returns the current expiry (ms;
   * null: does not expire). Undefined if the session has ended, by this call or before; its sockets must then be
   * closed.
   */
  expireIfDue(sessionId: string): Promise<number | null | undefined>;
}

export interface SessionsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Revocation & LogWriter;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly disabledSafeguards?: DisabledSafeguards | undefined;
  /** Life of an access token, ms; 30 minutes by default (Home Assistant's). */
  readonly accessTokenTtlMs?: number;
  /** How long a session lives without use, ms; 90 days by default (Home Assistant's). */
  readonly sessionIdleMs?: number;
  readonly yielder: LoopYielder;
  readonly providers: ProviderAdmission;
  readonly assurance: Assurance;
  readonly clients: Pick<RegisteredClients, "find">;
  /** No caps by default. */
  readonly caps?: Partial<SessionCaps>;
}

export const defaultAccessTokenTtlMs = 30 * 60_000;
export const defaultSessionIdleMs = 90 * 86_400_000;

const noCaps: SessionCaps = {
  sessions: Number.POSITIVE_INFINITY,
  longLivedTokens: Number.POSITIVE_INFINITY,
};

export function createSessions(options: SessionsOptions): Sessions {
  const { store, clock, revocation } = options;
  const { accessTokenTtlMs = defaultAccessTokenTtlMs, sessionIdleMs = defaultSessionIdleMs } = options;
  const { accessTokens, refreshTokens } = options;
  const tools = {
    store,
    clock,
    revocation,
    providers: options.providers,
    assurance: options.assurance,
    clients: options.clients,
    revoke: revocation.revoke,
    view: revocation.view,
    accessTokens,
    refreshTokens,
    accessTokenTtlMs,
    sessionIdleMs,
    disabledSafeguards: options.disabledSafeguards ?? new Set(),
    yielder: options.yielder,
    caps: { ...noCaps, ...options.caps },
  };
  // Concurrent requests of one user are counted one after another, so that the cap holds.
  const tokenQueue = createKeyedQueue();
  const live = async (sessionId: string) => {
    const found = await findSession(tools, sessionId);
    return found?.state === "live" ? found.session : undefined;
  };
  return {
    async open(request) {
      const grant = await openSession(tools, request);
      await trimSessions(tools, grant.session);
      return grant;
    },
    openLongLived: (request) => tokenQueue.run(request.userId, () => openLongLived(tools, request)),
    refresh: createRefresh(tools),
    issueAccessToken: (sessionId, token) => issueAccessToken(tools, sessionId, token),
    async findByRefreshToken(refreshToken) {
      const token = refreshTokens.read(refreshToken);
      return token && (await live(token.sessionId));
    },
    async findByGoodRefreshToken(refreshToken) {
      const token = refreshTokens.read(refreshToken);
      if (token === undefined) return undefined;
      const session = await live(token.sessionId);
      return session === undefined || isOver(session, token.generation) ? undefined : session;
    },
    get: live,
    list: (userId) => listSessions(tools, userId),
    listPage: (userId, page) => readSessionPage(tools, userId, page),
    setExpiry: (principal, sessionId, enabled) => setExpiry(tools, principal, sessionId, enabled),
    expireIfDue: (sessionId) => expireIfDue(tools, sessionId),
  };
}
