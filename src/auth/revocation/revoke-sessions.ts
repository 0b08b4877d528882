import { AuthError } from "../errors.ts";
import type { LogEvent, Session } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { releaseNames } from "../sessions/client-names.ts";
import {
  createdBefore,
  type Epochs,
  highestEpoch,
  puttingSession,
  readableSession,
  readEpochsOfClients,
} from "../sessions/session-record.ts";
import type { CommitOutcome, Step, Store, StoredRecord } from "../store.ts";
import { mergeSteps } from "../store.ts";
import type { RevokeTarget } from "./receipt.ts";
import { outcomeOf, type RevokeOutcome, type RevokeRequest, type RevokeTools } from "./revoke-commit.ts";

type SessionsTarget = Extract<RevokeTarget, { kind: "sessions" }>;

/** Sessions of one commit: each costs a put, an unlink and its id in the event. */
const chunkSize = 250;

/**
 * Ends named sessions. A tombstone is written over whatever is there, without comparing versions, so no refresh can win
 * against it for ever; a refresh that read before and commits after fails its check. What was dead already is told
 * again: whoever asks wants to know when no node serves it any more.
 *
 * Of a list longer than one commit the last commit carries `also`: what must not outlive the rights goes with the last
 * of them, and a crash in between leaves less than was, never more.
 */
export function createSessionRevoker({ store, clock, logWriter }: RevokeTools) {
  return async (target: SessionsTarget, request: RevokeRequest): Promise<RevokeOutcome> => {
    const chunks = chunksOf([...new Set(target.sessionIds)]);
    const commits: Extract<CommitOutcome, { ok: true }>[] = [];
    let ended = 0;
    for (const [place, sessionIds] of chunks.entries()) {
      const records = await store.get(sessionIds.map(recordKeys.session));
      const named = namedOnes(target.userId, sessionIds, records, await epochsFor(store, target, records));
      const also = place === chunks.length - 1 ? request.also : undefined;
      const outcome = await logWriter.commit(
        mergeSteps(ending(target.userId, named, request, clock.now()), also),
      );
      if (!outcome.ok) throw new AuthError("conflict", { detail: `revoke: ${outcome.conflict} changed` });
      commits.push(outcome);
      await releaseNames(store, readableOnes(named));
      ended += named.filter(({ live }) => live !== undefined).length;
    }
    return outcomeOf(ended, commits);
  };
}

function epochsFor(
  store: Store,
  { userId }: SessionsTarget,
  records: readonly (StoredRecord | undefined)[],
): Promise<(clientId: string | null) => Epochs> {
  const sessions = records.map((record) => record && readableSession(record));
  const clientIds = sessions.map((session) => session?.clientId ?? null);
  return readEpochsOfClients(store, userId, clientIds);
}

interface NamedSession {
  readonly id: string;
  /** Its record, while it is neither revoked nor below its epochs. */
  readonly live: StoredRecord | undefined;
}

function readableOnes(named: readonly NamedSession[]): readonly Session[] {
  const sessions = named.map(({ live }) => live && readableSession(live));
  return sessions.filter((session) => session !== undefined);
}

/** Expired ones count as live: their sockets have to be told. Another user's sessions are not this target's. */
function namedOnes(
  userId: string,
  sessionIds: readonly string[],
  records: readonly (StoredRecord | undefined)[],
  epochOf: (clientId: string | null) => Epochs,
): readonly NamedSession[] {
  return sessionIds.flatMap((id, place) => {
    const record = records[place];
    const session = record && readableSession(record);
    if (session !== undefined && session.userId !== userId) return [];
    const epoch = highestEpoch(epochOf(session?.clientId ?? null));
    const dead = record === undefined || createdBefore(record, epoch) || session?.revokedAt !== undefined;
    return [{ id, live: dead ? undefined : record }];
  });
}

function ending(userId: string, named: readonly NamedSession[], request: RevokeRequest, now: number): Step {
  if (named.length === 0) return { durable: true };
  const { cause, revocationId } = request;
  const sessionIds = named.map(({ id }) => id);
  const live = named.flatMap(({ id, live: record }) => (record === undefined ? [] : [{ id, record }]));
  const event: LogEvent = { type: "sessions_revoked", userId, sessionIds, cause, revocationId };
  return {
    put: live.flatMap(({ record }) => {
      const session = readableSession(record);
      return session === undefined
        ? []
        : [puttingSession({ ...session, revokedAt: now, revokedCause: cause })];
    }),
    remove: live
      .filter(({ record }) => readableSession(record) === undefined)
      .map(({ id }) => recordKeys.session(id)),
    unlink: live.map(({ id }) => ({ index: indexKeys.sessionsOf(userId), member: id })),
    log: [{ ...event }],
    durable: true,
  };
}

function chunksOf(ids: readonly string[]): readonly (readonly string[])[] {
  const chunks: string[][] = [];
  for (let start = 0; start < ids.length; start += chunkSize)
    chunks.push(ids.slice(start, start + chunkSize));
  return chunks.length === 0 ? [[]] : chunks;
}
