import { AuthError } from "../errors.ts";
import { joinedStep } from "../joined-step.ts";
import type { LogEvent } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { puttingSession, readableSession } from "../sessions/session-record.ts";
import type { Step, StoredRecord } from "../store.ts";
import type { EndingRequest, EndingTools } from "./ending.ts";
import type { RevokeTarget } from "./revocation.ts";

type SessionsTarget = Extract<RevokeTarget, { kind: "sessions" }>;

/** Sessions of one commit: each costs a put, an unlink and its id in the event. */
const chunkSize = 250;

/**
 * Ends named sessions; returns how many were live. A tombstone is written over whatever is there, without comparing
 * versions, so no refresh can win against it for ever; a refresh that read before and commits after fails its check.
 * Of a list longer than one commit the last commit carries `also`: what must not outlive the rights goes with the
 * last of them, and a crash in between leaves less than was, never more.
 */
export function createSessionEnding({ store, clock, journal }: EndingTools) {
  return async (target: SessionsTarget, request: EndingRequest): Promise<number> => {
    const chunks = chunksOf([...new Set(target.sessionIds)]);
    let ended = 0;
    for (const [place, sessionIds] of chunks.entries()) {
      const [epoch, ...records] = await store.get([
        recordKeys.userEpoch(target.userId),
        ...sessionIds.map(recordKeys.session),
      ]);
      const live = liveOnes(target.userId, sessionIds, records, epoch?.version ?? 0);
      const also = place === chunks.length - 1 ? request.also : undefined;
      if (live.length === 0 && also === undefined) continue;
      const outcome = await journal.commit(
        joinedStep(ending(target.userId, live, request, clock.now()), also),
      );
      if (!outcome.ok) throw new AuthError("conflict", { detail: `revoke: ${outcome.conflict} changed` });
      ended += live.length;
    }
    return ended;
  };
}

interface LiveRecord {
  readonly id: string;
  readonly record: StoredRecord;
}

/** Expired ones count: their sockets have to be told. Another user's sessions are not this target's. */
function liveOnes(
  userId: string,
  sessionIds: readonly string[],
  records: readonly (StoredRecord | undefined)[],
  epoch: number,
): readonly LiveRecord[] {
  return sessionIds.flatMap((id, place) => {
    const record = records[place];
    if (record === undefined || record.version < epoch) return [];
    const session = readableSession(record);
    const theirs = session !== undefined && (session.userId !== userId || session.revokedAt !== undefined);
    return theirs ? [] : [{ id, record }];
  });
}

function ending(userId: string, live: readonly LiveRecord[], request: EndingRequest, now: number): Step {
  if (live.length === 0) return {};
  const { cause, revocationId } = request;
  const sessionIds = live.map(({ id }) => id);
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
    unlink: sessionIds.map((member) => ({ index: indexKeys.sessionsOf(userId), member })),
    log: [{ ...event }],
  };
}

function chunksOf(ids: readonly string[]): readonly (readonly string[])[] {
  const chunks: string[][] = [];
  for (let start = 0; start < ids.length; start += chunkSize)
    chunks.push(ids.slice(start, start + chunkSize));
  return chunks.length === 0 ? [[]] : chunks;
}
