import { LRUCache } from "lru-cache";
import { isRegisteredId } from "../clients/client-id.ts";
import { clientChecks, type RegisteredClient } from "../clients/client-record.ts";
import type { RegisteredClients } from "../clients/registered-clients.ts";
import { AuthError } from "../errors.ts";
import { type Assurance, type Demand, isBelow } from "../factors/assurance.ts";
import type { Peer, Session, User } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { DisabledSafeguards } from "../safeguards.ts";
import { readRecord, retryConflicts, type StoredRecord } from "../store.ts";
import { blockedError } from "../users/account-status.ts";
import { requireUser } from "../users/user-record.ts";
import { admissionError, belowDemand, type SessionTools } from "./open-session.ts";
import { grantableScope, refusalOfClient } from "./refresh-client.ts";
import { judgeGeneration } from "./rotation-rule.ts";
import {
  createdVersionOf,
  type Epochs,
  epochChecks,
  epochKeys,
  epochsFromRecords,
  expiryUnknown,
  highestEpoch,
  requireSession,
  type SessionOwner,
  sessionPut,
  sessionState,
} from "./session-record.ts";
import type { TokenGrant } from "./sessions.ts";

export interface RefreshRequest {
  readonly refreshToken: string;
  readonly clientId?: string | null;
  readonly sessionId?: string;
  /** Fewer scopes for the access token (RFC 6749 section 6); those of the session by default. */
  readonly scope?: string | undefined;
  /** If present, it must be the session's (RFC 8707 section 2.2). */
  readonly resource?: string | undefined;
  /** See `Sessions.refresh`. */
  readonly clientAuthenticated?: boolean | undefined;
  readonly peer: Peer;
}

export interface RefreshTools extends SessionTools {
  readonly clients: Pick<RegisteredClients, "find">;
  readonly revoke: Revocation["revoke"];
  readonly view: Pick<Revocation["view"], "judge">;
  readonly disabledSafeguards: DisabledSafeguards;
}

/** A use within this time after the last one, from the same address, is not recorded, ms. */
const useGrainMs = 10_000;

/**
 * Over HTTP a refresh takes one read and one commit if this node has seen the session before. In band a refresh takes
 * one commit: a socket stays on its node, so the node first tries the snapshot of its own last refresh. A commit that
 * would change nothing only checks. So parallel refreshes of one token succeed after one retry instead of conflicting
 * with each other.
 */
export function createRefresh(tools: RefreshTools): (request: RefreshRequest) => Promise<TokenGrant> {
  const snapshots = createRefreshSnapshots(tools);
  return (request) => {
    const token = tools.refreshTokens.read(request.refreshToken);
    const inBand = request.sessionId !== undefined;
    if (token === undefined || (inBand && request.sessionId !== token.sessionId))
      return Promise.reject(new AuthError("invalid_grant"));
    const attempt = { ...request, generation: token.generation };
    let cached = inBand ? snapshots.cached(token.sessionId) : undefined;
    return retryConflicts(async () => {
      const optimistic = cached === undefined ? undefined : judge(tools, cached, attempt);
      cached = undefined;
      const verdict =
        optimistic?.ok === true ? optimistic : judge(tools, await snapshots.read(token.sessionId), attempt);
      if (!verdict.ok) return refuse(tools, verdict);
      return grantOnce(tools, verdict, inBand ? snapshots : undefined);
    });
  };
}

type RefreshAttempt = RefreshRequest & { readonly generation: number };

interface Granted {
  readonly ok: true;
  readonly snapshot: RefreshSnapshot;
  /** The next state; the same object as the snapshot's if nothing changes. */
  readonly session: Session;
  /** Of the access token. */
  readonly scope: string | null;
  readonly withRefreshToken: boolean;
}

interface Refused {
  readonly ok: false;
  readonly error: AuthError;
  readonly revokes?: {
    readonly session: Session;
    readonly cause: "token_reused" | "session_expired" | "session_revoked";
  };
}

function judge(tools: RefreshTools, snapshot: RefreshSnapshot, attempt: RefreshAttempt): Granted | Refused {
  const now = tools.clock.now();
  const error = findRefusal(tools, snapshot, attempt);
  if (error !== undefined) return error;
  const { session } = snapshot;
  const presented = { generation: attempt.generation, peer: attempt.peer, now };
  const scope = grantableScope(session, snapshot.client, attempt.scope);
  if (scope === undefined) return { ok: false, error: new AuthError("invalid_scope") };
  const verdict = judgeGeneration(session, presented, !tools.disabledSafeguards.has("heal_forward"));
  if (verdict.kind === "reused")
    return { ok: false, error: new AuthError("token_reused"), revokes: { session, cause: "token_reused" } };
  const next = verdict.kind === "current" ? verdict.session : session;
  const unchanged = isRecent(session, attempt.peer, now) && next.generation === session.generation;
  return {
    ok: true,
    snapshot,
    session: unchanged ? session : withUse(next, tools.sessionIdleMs, attempt.peer, now),
    scope,
    // A client of a session without rotation has the newest token already if it sent that one.
    withRefreshToken: verdict.kind !== "current" || session.rotates,
  };
}

function findRefusal(
  { clock, providers }: RefreshTools,
  { session, ...snapshot }: RefreshSnapshot,
  attempt: RefreshAttempt,
): Refused | undefined {
  const state = sessionState({ session, version: snapshot.version }, highestEpoch(snapshot.epochs), clock);
  if (state === "unsure") return { ok: false, error: expiryUnknown() };
  if (state === "expired")
    return {
      ok: false,
      error: new AuthError("invalid_grant"),
      revokes: { session, cause: "session_expired" },
    };
  if (state !== "live" || session.type === "long_lived_access_token")
    return { ok: false, error: new AuthError("invalid_grant") };
  // Whatever has made the demand ends such sessions too. This one is ended here if that was cut short.
  if (isBelow(session, snapshot.demand))
    return { ok: false, error: belowDemand("invalid_grant"), revokes: { session, cause: "session_revoked" } };
  const blocked =
    refusalOfClient(session, snapshot.client, attempt) ??
    blockedError(snapshot.user, attempt.peer) ??
    admissionError(providers, session, attempt.peer);
  return blocked === undefined ? undefined : { ok: false, error: blocked };
}

async function refuse(tools: RefreshTools, { error, revokes }: Refused): Promise<never> {
  if (revokes !== undefined) {
    const { userId, id } = revokes.session;
    await tools.revoke({ kind: "sessions", userId, sessionIds: [id] }, revokes.cause);
  }
  throw error;
}

/** Undefined: the session, the user or an epoch has changed since the snapshot. */
async function grantOnce(
  tools: RefreshTools,
  { snapshot, session, scope, withRefreshToken }: Granted,
  snapshots: RefreshSnapshots | undefined,
): Promise<TokenGrant | undefined> {
  const changed =
    session === snapshot.session ? undefined : { ...session, createdVersion: createdVersionOf(snapshot) };
  const outcome = await tools.revocation.commit({
    check: [
      { key: recordKeys.session(session.id), version: snapshot.version },
      { key: recordKeys.user(session.userId), version: snapshot.userVersion },
      ...epochChecks(session, snapshot.epochs),
      ...demandChecks(snapshot),
      ...(snapshot.client === undefined ? [] : clientChecks(snapshot.client)),
    ],
    put: changed === undefined ? [] : [sessionPut(changed)],
  });
  if (!outcome.ok) return undefined;
  snapshots?.keep(
    changed === undefined ? snapshot : { ...snapshot, session: changed, version: outcome.version },
  );
  return grant(tools, snapshot, { ...session, scope }, withRefreshToken);
}

/** Nothing can be demanded of a session that has the highest level. */
function demandChecks({ session, demand }: RefreshSnapshot): Demand["checks"] {
  return session.assurance === 2 ? [] : demand.checks;
}

function isRecent(session: Session, peer: Peer, now: number): boolean {
  const { lastUsedAt, lastUsedIp } = session;
  return (
    lastUsedAt !== null && now >= lastUsedAt && now - lastUsedAt < useGrainMs && lastUsedIp === peer.address
  );
}

/** A use never shortens the expiry: this node's clock, or that of the last use, may be wrong. */
function withUse(session: Session, idleMs: number, peer: Peer, now: number): Session {
  const expiresAt = session.expiresAt === null ? null : Math.max(session.expiresAt, now + idleMs);
  return { ...session, lastUsedAt: now, lastUsedIp: peer.address, expiresAt };
}

async function grant(
  tools: RefreshTools,
  { user, epochs }: Pick<RefreshSnapshot, "user" | "epochs">,
  session: Session,
  withRefreshToken: boolean,
): Promise<TokenGrant> {
  const ttlMs = Math.min(session.accessTokenTtl, tools.accessTokenTtlMs);
  const minted = await tools.accessTokens.mint(session, user, highestEpoch(epochs), ttlMs);
  const { token, principal } = minted;
  // The store has lost a revocation that this node knows of. It is about to be written again: the client asks once more.
  const judged = !tools.disabledSafeguards.has("known_revocation");
  if (judged && tools.view.judge(principal).state === "dead")
    throw new AuthError("unavailable", { detail: "the store does not know yet that the session is over" });
  const granted = { session, accessToken: token, principal };
  if (!withRefreshToken) return granted;
  return { ...granted, refreshToken: tools.refreshTokens.issue(session.id, session.generation) };
}

/** The records that a refresh is decided on, with the versions that its commit checks. */
export interface RefreshSnapshot {
  readonly session: Session;
  readonly version: number;
  readonly user: User;
  readonly userVersion: number;
  readonly epochs: Epochs;
  readonly demand: Pick<Demand, "level" | "checks">;
  /** The session's client as it is registered now; undefined if it is not registered. */
  readonly client: RegisteredClient | undefined;
}

export interface RefreshSnapshots {
  /**
   * From an earlier refresh on this node. It may be stale: it is good enough to try a commit that checks it, never to
   * refuse a refresh or to end a session.
   */
  cached(sessionId: string): RefreshSnapshot | undefined;
  /**
   * Reads the store, at one moment, or so that the commit detects a change in between. Throws `invalid_grant` if the
   * session does not exist.
   */
  read(sessionId: string): Promise<RefreshSnapshot>;
  /** Called after a commit that was decided on it. */
  keep(snapshot: RefreshSnapshot): void;
}

/** About 1 KiB each. */
const maxSnapshots = 10_000;
const maxOwners = 10_000;

type SnapshotTools = Pick<RefreshTools, "store" | "clients"> & { readonly assurance: Assurance };

export function createRefreshSnapshots(tools: SnapshotTools): RefreshSnapshots {
  const snapshots = new LRUCache<string, RefreshSnapshot>({ max: maxSnapshots });
  return {
    cached: (sessionId) => snapshots.get(sessionId),
    read: createReader(tools),
    keep: (snapshot) => void snapshots.set(snapshot.session.id, snapshot),
  };
}

/**
 * Reads session, user and epochs in one read if the session's user and client are known; these never change.
 * Otherwise it takes two reads, the session first. A registered client is read too, unless it is configured. The commit
 * checks all of them.
 */
function createReader({ store, clients, assurance }: SnapshotTools): RefreshSnapshots["read"] {
  const owners = new LRUCache<string, SessionOwner>({ max: maxOwners });
  const ownerKeys = (owner: SessionOwner) => [
    recordKeys.user(owner.userId),
    ...assurance.keys(owner.userId),
    ...epochKeys(owner),
  ];
  return async (sessionId) => {
    const key = recordKeys.session(sessionId);
    const cached = owners.get(sessionId);
    if (cached !== undefined) {
      const [[session, ...rest], client] = await Promise.all([
        store.get([key, ...ownerKeys(cached)]),
        clientOf(clients, cached),
      ]);
      return snapshotOf(assurance, session, rest, client);
    }
    const session = await readRecord(store, key);
    if (session === undefined) throw new AuthError("invalid_grant");
    const { userId, clientId } = requireSession(session).session;
    const [rest, client] = await Promise.all([
      store.get(ownerKeys({ userId, clientId })),
      clientOf(clients, { clientId }),
    ]);
    owners.set(sessionId, { userId, clientId });
    return snapshotOf(assurance, session, rest, client);
  };
}

async function clientOf(
  clients: Pick<RegisteredClients, "find">,
  { clientId }: Pick<SessionOwner, "clientId">,
): Promise<RegisteredClient | undefined> {
  return clientId !== null && isRegisteredId(clientId) ? await clients.find(clientId) : undefined;
}

function snapshotOf(
  assurance: Assurance,
  record: StoredRecord | undefined,
  [userRecord, ...rest]: readonly (StoredRecord | undefined)[],
  client: RegisteredClient | undefined,
): RefreshSnapshot {
  if (record === undefined || userRecord === undefined) throw new AuthError("invalid_grant");
  const user = requireUser(userRecord);
  const demanding = assurance.keys(user.id).length;
  return {
    ...requireSession(record),
    user,
    userVersion: userRecord.version,
    demand: assurance.demandFrom(user, rest.slice(0, demanding)),
    epochs: epochsFromRecords(rest.slice(demanding)),
    client,
  };
}
