import { AuthError } from "../errors.ts";
import { LeastRecentlyUsed } from "../least-recently-used.ts";
import type { Peer, Session, User } from "../model.ts";
import type { Weakened } from "../protections.ts";
import { recordKeys } from "../record-keys.ts";
import { retryConflicts } from "../retry-conflicts.ts";
import type { Revocation } from "../revocation/revocation.ts";
import { readRecord, type Store, type StoredRecord } from "../store.ts";
import { userOf } from "../users/user-record.ts";
import { refuseBlockedUser } from "./blocked-user.ts";
import { judgeGeneration } from "./refresh-rule.ts";
import {
  checkingEpochs,
  type Epochs,
  epochKeys,
  epochsOf,
  highestEpoch,
  type SessionOwner,
} from "./session-epochs.ts";
import type { SessionTools } from "./session-opening.ts";
import { bornAt, puttingSession, sessionOf, sessionState } from "./session-record.ts";
import type { TokenGrant } from "./sessions.ts";

export interface RefreshRequest {
  readonly refreshToken: string;
  readonly clientId?: string | null;
  readonly sessionId?: string;
  readonly peer: Peer;
}

export interface RefreshTools extends SessionTools {
  readonly revoke: Revocation["revoke"];
  readonly weakened: Weakened;
}

/** A use that is no later than this after the last one, from the same address, is not written down again. */
const useGrainMs = 10_000;
const knownOwners = 10_000;

/**
 * One read and one commit where this node has seen the session before. A commit that would change nothing only checks,
 * so that parallel refreshes of one token agree after one round instead of fighting.
 */
export function createRefresh(tools: RefreshTools): (request: RefreshRequest) => Promise<TokenGrant> {
  const read = createReader(tools.store);
  return (request) => {
    const token = tools.refreshTokens.read(request.refreshToken);
    const other = request.sessionId !== undefined && request.sessionId !== token?.sessionId;
    if (token === undefined || other) return Promise.reject(new AuthError("invalid_grant"));
    return retryConflicts(async () => {
      const basis = await read(token.sessionId);
      return refreshOnce(tools, { ...request, basis, generation: token.generation });
    });
  };
}

interface Basis {
  readonly session: Session;
  readonly version: number;
  readonly user: User;
  readonly userVersion: number;
  readonly epochs: Epochs;
}

/** Undefined: somebody else changed what the refresh was decided on. */
async function refreshOnce(
  tools: RefreshTools,
  request: RefreshRequest & { readonly basis: Basis; readonly generation: number },
): Promise<TokenGrant | undefined> {
  const { basis, generation, peer } = request;
  const now = tools.clock.now();
  await requireLive(tools, basis, now);
  requireClient(basis.session, request);
  refuseBlockedUser(basis.user, peer);
  const verdict = judgeGeneration(basis.session, generation, now, !tools.weakened.has("heal_forward"));
  if (verdict.kind === "reused") return endReused(tools, basis.session);
  const next = verdict.kind === "current" ? verdict.session : basis.session;
  const session =
    isRecent(basis.session, peer, now) && next.generation === basis.session.generation
      ? basis.session
      : used(next, tools.sessionIdleMs, peer, now);
  const outcome = await tools.revocation.commit({
    check: [
      { key: recordKeys.session(session.id), version: basis.version },
      { key: recordKeys.user(session.userId), version: basis.userVersion },
      ...checkingEpochs(session, basis.epochs),
    ],
    put: session === basis.session ? [] : [puttingSession({ ...session, born: bornAt(basis) })],
  });
  if (!outcome.ok) return undefined;
  // The client has the newest token already: it sent it, and this session does not rotate.
  const keeps = verdict.kind === "current" && !session.rotates;
  return grant(tools, basis, session, !keeps);
}

async function requireLive(tools: RefreshTools, basis: Basis, now: number) {
  const { session } = basis;
  const state = sessionState(basis, highestEpoch(basis.epochs), now);
  if (state === "live" && session.type !== "long_lived_access_token") return;
  if (state === "expired") await endSession(tools, session, "session_expired");
  throw new AuthError("invalid_grant");
}

/** In band the socket is the session's own, which says more than a client id. */
function requireClient(session: Session, { clientId, sessionId }: RefreshRequest): void {
  if (sessionId !== undefined && clientId === undefined) return;
  if ((clientId ?? null) !== session.clientId) throw new AuthError("invalid_client");
}

async function endReused(tools: RefreshTools, session: Session): Promise<never> {
  await endSession(tools, session, "token_reused");
  throw new AuthError("token_reused");
}

async function endSession(tools: RefreshTools, session: Session, cause: "token_reused" | "session_expired") {
  await tools.revoke({ kind: "sessions", userId: session.userId, sessionIds: [session.id] }, cause);
}

function isRecent(session: Session, peer: Peer, now: number): boolean {
  const { lastUsedAt, lastUsedIp } = session;
  return (
    lastUsedAt !== null && now >= lastUsedAt && now - lastUsedAt < useGrainMs && lastUsedIp === peer.address
  );
}

function used(session: Session, idleMs: number, peer: Peer, now: number): Session {
  const expiresAt = session.expiresAt === null ? null : now + idleMs;
  return { ...session, lastUsedAt: now, lastUsedIp: peer.address, expiresAt };
}

async function grant(
  tools: RefreshTools,
  { user, epochs }: Basis,
  session: Session,
  withRefreshToken: boolean,
): Promise<TokenGrant> {
  const ttlMs = Math.min(session.accessTokenTtl, tools.accessTokenTtlMs);
  const { token, expiresAt } = await tools.accessTokens.mint(session, user, highestEpoch(epochs), ttlMs);
  const granted = { session, accessToken: token, accessTokenExpiresAt: expiresAt };
  if (!withRefreshToken) return granted;
  return { ...granted, refreshToken: tools.refreshTokens.issue(session.id, session.generation) };
}

/**
 * Session, user and epochs in one read where the session's user and client are known, which never change. In two reads
 * the session comes first; the commit checks all of them. Throws `invalid_grant` when session or user is gone.
 */
function createReader(store: Store): (sessionId: string) => Promise<Basis> {
  const owners = new LeastRecentlyUsed<string, SessionOwner>(knownOwners);
  return async (sessionId) => {
    const key = recordKeys.session(sessionId);
    const known = owners.get(sessionId);
    if (known !== undefined) {
      const [session, ...rest] = await store.get([key, recordKeys.user(known.userId), ...epochKeys(known)]);
      return basisOf(session, rest);
    }
    const session = await readRecord(store, key);
    if (session === undefined) throw new AuthError("invalid_grant");
    const { userId, clientId } = sessionOf(session).session;
    const rest = await store.get([recordKeys.user(userId), ...epochKeys({ userId, clientId })]);
    owners.set(sessionId, { userId, clientId });
    return basisOf(session, rest);
  };
}

function basisOf(
  record: StoredRecord | undefined,
  [user, ...epochs]: readonly (StoredRecord | undefined)[],
): Basis {
  if (record === undefined || user === undefined) throw new AuthError("invalid_grant");
  return {
    ...sessionOf(record),
    user: userOf(user),
    userVersion: user.version,
    epochs: epochsOf(epochs),
  };
}
