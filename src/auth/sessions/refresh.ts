import { LRUCache } from "lru-cache";
import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { Peer, Session, User } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { DisabledSafeguards } from "../safeguards.ts";
import { readRecord, retryConflicts, type Store, type StoredRecord } from "../store.ts";
import { blockOf } from "../users/account-status.ts";
import { userOf } from "../users/user-record.ts";
import type { SessionTools } from "./open-session.ts";
import { judgeGeneration } from "./refresh-rule.ts";
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
  readonly peer: Peer;
}

export interface RefreshTools extends SessionTools {
  readonly revoke: Revocation["revoke"];
  readonly disabledSafeguards: DisabledSafeguards;
}

/** A use that is no later than this after the last one, from the same address, is not written down again. */
const useGrainMs = 10_000;

/**
 * Over HTTP one read and one commit where this node has seen the session before. In band a refresh is first tried on
 * what this node's last refresh of the session left, since a socket stays on its node: one commit. A commit that would
 * change nothing only checks, so that parallel refreshes of one token agree after one round instead of fighting.
 */
export function createRefresh(tools: RefreshTools): (request: RefreshRequest) => Promise<TokenGrant> {
  const bases = createRefreshSnapshots(tools.store);
  return (request) => {
    const token = tools.refreshTokens.read(request.refreshToken);
    const inBand = request.sessionId !== undefined;
    if (token === undefined || (inBand && request.sessionId !== token.sessionId))
      return Promise.reject(new AuthError("invalid_grant"));
    const asked = { ...request, generation: token.generation };
    let known = inBand ? bases.known(token.sessionId) : undefined;
    return retryConflicts(async () => {
      const tried = known === undefined ? undefined : judge(tools, known, asked);
      known = undefined;
      const verdict = tried?.ok === true ? tried : judge(tools, await bases.read(token.sessionId), asked);
      if (!verdict.ok) return refuse(tools, verdict);
      return grantOnce(tools, verdict, inBand ? bases : undefined);
    });
  };
}

type RefreshAttempt = RefreshRequest & { readonly generation: number };

interface Granted {
  readonly ok: true;
  readonly basis: RefreshSnapshot;
  /** As it goes on; the basis's own when nothing of it changes. */
  readonly session: Session;
  readonly withRefreshToken: boolean;
}

interface Refused {
  readonly ok: false;
  readonly error: AuthError;
  readonly ends?: { readonly session: Session; readonly cause: "token_reused" | "session_expired" };
}

function judge(tools: RefreshTools, basis: RefreshSnapshot, asked: RefreshAttempt): Granted | Refused {
  const now = tools.clock.now();
  const error = findRefusal(basis, asked, tools.clock);
  if (error !== undefined) return error;
  const { session } = basis;
  const presented = { generation: asked.generation, peer: asked.peer, now };
  const verdict = judgeGeneration(session, presented, !tools.disabledSafeguards.has("heal_forward"));
  if (verdict.kind === "reused")
    return { ok: false, error: new AuthError("token_reused"), ends: { session, cause: "token_reused" } };
  const next = verdict.kind === "current" ? verdict.session : session;
  const unchanged = isRecent(session, asked.peer, now) && next.generation === session.generation;
  return {
    ok: true,
    basis,
    session: unchanged ? session : withUse(next, tools.sessionIdleMs, asked.peer, now),
    // The client has the newest token already where it sent it and this session does not rotate.
    withRefreshToken: verdict.kind !== "current" || session.rotates,
  };
}

function findRefusal(
  { session, ...basis }: RefreshSnapshot,
  asked: RefreshAttempt,
  clock: Clock,
): Refused | undefined {
  const state = sessionState({ session, version: basis.version }, highestEpoch(basis.epochs), clock);
  if (state === "unsure") return { ok: false, error: expiryUnknown() };
  if (state === "expired")
    return { ok: false, error: new AuthError("invalid_grant"), ends: { session, cause: "session_expired" } };
  if (state !== "live" || session.type === "long_lived_access_token")
    return { ok: false, error: new AuthError("invalid_grant") };
  if (!isOfClient(session, asked)) return { ok: false, error: new AuthError("invalid_client") };
  const blocked = blockOf(basis.user, asked.peer);
  return blocked === undefined ? undefined : { ok: false, error: blocked };
}

/** In band the socket is the session's own, which says more than a client id. */
function isOfClient(session: Session, { clientId, sessionId }: RefreshRequest): boolean {
  if (sessionId !== undefined && clientId === undefined) return true;
  return (clientId ?? null) === session.clientId;
}

async function refuse(tools: RefreshTools, { error, ends }: Refused): Promise<never> {
  if (ends !== undefined) {
    const { userId, id } = ends.session;
    await tools.revoke({ kind: "sessions", userId, sessionIds: [id] }, ends.cause);
  }
  throw error;
}

/** Undefined: somebody else changed what the refresh was decided on. */
async function grantOnce(
  tools: RefreshTools,
  { basis, session, withRefreshToken }: Granted,
  bases: RefreshSnapshots | undefined,
): Promise<TokenGrant | undefined> {
  const changed =
    session === basis.session ? undefined : { ...session, createdVersion: createdVersionOf(basis) };
  const outcome = await tools.revocation.commit({
    check: [
      { key: recordKeys.session(session.id), version: basis.version },
      { key: recordKeys.user(session.userId), version: basis.userVersion },
      ...epochChecks(session, basis.epochs),
    ],
    put: changed === undefined ? [] : [sessionPut(changed)],
  });
  if (!outcome.ok) return undefined;
  bases?.keep(changed === undefined ? basis : { ...basis, session: changed, version: outcome.version });
  return grant(tools, basis, session, withRefreshToken);
}

function isRecent(session: Session, peer: Peer, now: number): boolean {
  const { lastUsedAt, lastUsedIp } = session;
  return (
    lastUsedAt !== null && now >= lastUsedAt && now - lastUsedAt < useGrainMs && lastUsedIp === peer.address
  );
}

/** A use never moves the end back: this node's clock, or that of the last use, may have been wrong. */
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
  const granted = { session, accessToken: token, principal };
  if (!withRefreshToken) return granted;
  return { ...granted, refreshToken: tools.refreshTokens.issue(session.id, session.generation) };
}

/** What a refresh is decided on, and the versions by which its commit checks that all of it still holds. */
export interface RefreshSnapshot {
  readonly session: Session;
  readonly version: number;
  readonly user: User;
  readonly userVersion: number;
  readonly epochs: Epochs;
}

export interface RefreshSnapshots {
  /**
   * Of an earlier refresh on this node. It may be out of date: good enough to try a commit that checks it, never to
   * refuse anybody or to end anything.
   */
  known(sessionId: string): RefreshSnapshot | undefined;
  /** As the store has it, at one moment or so that the commit finds out. Throws `invalid_grant` for one that is gone. */
  read(sessionId: string): Promise<RefreshSnapshot>;
  /** After a commit that was decided on it. */
  keep(basis: RefreshSnapshot): void;
}

/** Of each about 1 KiB. */
const maxSnapshots = 10_000;
const maxOwners = 10_000;

export function createRefreshSnapshots(store: Store): RefreshSnapshots {
  const bases = new LRUCache<string, RefreshSnapshot>({ max: maxSnapshots });
  return {
    known: (sessionId) => bases.get(sessionId),
    read: createReader(store),
    keep: (basis) => void bases.set(basis.session.id, basis),
  };
}

/**
 * Session, user and epochs in one read where the session's user and client are known, which never change. In two reads
 * the session comes first; the commit checks all of them.
 */
function createReader(store: Store): RefreshSnapshots["read"] {
  const owners = new LRUCache<string, SessionOwner>({ max: maxOwners });
  return async (sessionId) => {
    const key = recordKeys.session(sessionId);
    const known = owners.get(sessionId);
    if (known !== undefined) {
      const [session, ...rest] = await store.get([key, recordKeys.user(known.userId), ...epochKeys(known)]);
      return snapshotOf(session, rest);
    }
    const session = await readRecord(store, key);
    if (session === undefined) throw new AuthError("invalid_grant");
    const { userId, clientId } = requireSession(session).session;
    const rest = await store.get([recordKeys.user(userId), ...epochKeys({ userId, clientId })]);
    owners.set(sessionId, { userId, clientId });
    return snapshotOf(session, rest);
  };
}

function snapshotOf(
  record: StoredRecord | undefined,
  [user, ...epochs]: readonly (StoredRecord | undefined)[],
): RefreshSnapshot {
  if (record === undefined || user === undefined) throw new AuthError("invalid_grant");
  return {
    ...requireSession(record),
    user: userOf(user),
    userVersion: user.version,
    epochs: epochsFromRecords(epochs),
  };
}
