import type { LogEvent } from "../../model.ts";
import { recordKeys } from "../../record-keys.ts";
import { type FoundSession, findReadableSession } from "../../sessions/session-reading.ts";
import { createdVersionOf, epochChecks, parseSession, sessionPut } from "../../sessions/session-record.ts";
import type { Step } from "../../store.ts";
import { mergeSteps } from "../../store.ts";
import { chunksOf } from "../chunks.ts";
import type { RaisedEpoch, RevocationCache, RevokedSession } from "../revocation-cache.ts";
import {
  type RecordRepairTools,
  repairLogins,
  repairOthers,
  repairOwner,
  repairUsers,
} from "./repair-records.ts";

export interface RepairTools extends RecordRepairTools {
  readonly cache: Pick<
    RevocationCache,
    "sessions" | "users" | "clients" | "everybody" | "rightsDecisions" | "loginChanges" | "owner"
  >;
}

/** Revocations of one commit: each costs a record and at most one event. */
const batchSize = 200;
/** Only refreshes of the spared session can cause a conflict. */
const maxAttempts = 10;

/**
 * After the store went back in time, writes again all revocations that this node remembers: tombstones for sessions
 * whose records are live, epochs at least as high as they were, and the events, which other nodes may never have
 * seen. Then it repairs the records of users, logins, groups and what is registered (see `RecordRepairs`), and ends the sessions that the lost
 * changes have let in since.
 *
 * Idempotent, also if other nodes do it at the same time. Epochs keep their numbers, so no newer login is revoked.
 * Resolves to how many revocations it wrote. Rejects with `unavailable`; then all of it must be done again.
 */
export async function repairRollback(tools: RepairTools): Promise<number> {
  const sessions = [...tools.cache.sessions.entries()];
  const users = [...tools.cache.users.entries()];
  for (const batch of chunksOf(sessions, batchSize)) await restoreTombstones(tools, batch);
  const raises = [
    ...users
      .filter(([, raised]) => raised.except === null)
      .map(([userId, raised]) => raiseUserEpochStep(userId, raised)),
    ...[...tools.cache.clients.entries()].map(([clientId, raised]) => raiseClientEpochStep(clientId, raised)),
    ...[...tools.cache.everybody.entries()].map(([, raised]) => raiseAllEpochStep(raised)),
  ];
  for (const batch of chunksOf(raises, batchSize)) await commit(tools, mergeSteps(...batch));
  const spared = users.filter(hasException);
  for (const [userId, raised] of spared) await restoreEpochSparing(tools, userId, raised);
  let records = await repairOwner(tools, [...tools.cache.owner.entries()]);
  for (const batch of chunksOf([...tools.cache.rightsDecisions.entries()], batchSize))
    records += await repairUsers(tools, batch);
  for (const batch of chunksOf([...tools.cache.loginChanges.entries()], batchSize))
    records += await repairLogins(tools, batch);
  records += await repairOthers(tools);
  return sessions.length + raises.length + spared.length + records;
}

function hasException(
  entry: readonly [string, RaisedEpoch],
): entry is [string, RaisedEpoch & { except: string }] {
  return entry[1].except !== null;
}

async function restoreTombstones(
  tools: RepairTools,
  batch: readonly (readonly [string, RevokedSession])[],
): Promise<void> {
  const records = await tools.store.get(batch.map(([id]) => recordKeys.session(id)));
  const now = tools.clock.now();
  const put = batch.flatMap(([, { cause }], place) => {
    const record = records[place];
    const session = record && parseSession(record);
    if (session === undefined || session.revokedAt !== undefined) return [];
    return [sessionPut({ ...session, revokedAt: now, revokedCause: cause })];
  });
  await commit(tools, { put, log: eventsOf(batch).map((event) => ({ ...event })) });
}

/** One event for each revocation, with its original id. */
function eventsOf(batch: readonly (readonly [string, RevokedSession])[]): readonly LogEvent[] {
  const groups = new Map<string, { readonly revoked: RevokedSession; readonly sessionIds: string[] }>();
  for (const [id, revoked] of batch) {
    const key = `${revoked.revocationId} ${revoked.userId}`;
    const group = groups.get(key) ?? { revoked, sessionIds: [] };
    group.sessionIds.push(id);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ revoked, sessionIds }) => ({
    type: "sessions_revoked",
    sessionIds,
    ...revoked,
  }));
}

function raiseUserEpochStep(userId: string, { epoch, except, cause, revocationId }: RaisedEpoch): Step {
  const event: LogEvent = { type: "user_revoked", userId, cause, revocationId, except, epoch };
  return { raiseEpochsTo: [{ key: recordKeys.userEpoch(userId), version: epoch }], log: [{ ...event }] };
}

function raiseClientEpochStep(clientId: string, { epoch, cause, revocationId }: RaisedEpoch): Step {
  const event: LogEvent = { type: "client_revoked", clientId, cause, revocationId, epoch };
  return { raiseEpochsTo: [{ key: recordKeys.clientEpoch(clientId), version: epoch }], log: [{ ...event }] };
}

function raiseAllEpochStep({ epoch, cause, revocationId }: RaisedEpoch): Step {
  const event: LogEvent = { type: "all_revoked", cause, revocationId, epoch };
  return { raiseEpochsTo: [{ key: recordKeys.allEpoch, version: epoch }], log: [{ ...event }] };
}

/**
 * The commit that raised the epoch had also written the spared session again, and the rollback lost that too. Without
 * writing it again, raising the epoch would end the one session that it must spare.
 */
async function restoreEpochSparing(
  tools: RepairTools,
  userId: string,
  raised: RaisedEpoch & { readonly except: string },
): Promise<void> {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const spared = await findReadableSession(tools, raised.except);
    const step = mergeSteps(
      rewriteSparedStep(spared, userId, raised.epoch),
      raiseUserEpochStep(userId, raised),
    );
    if (await commit(tools, step)) return;
  }
  // The session is refreshed all the time. Raising the epoch matters more than sparing it.
  await commit(tools, raiseUserEpochStep(userId, raised));
}

/** Only for a session that is live and that the epoch would end. */
function rewriteSparedStep(found: FoundSession | undefined, userId: string, epoch: number): Step {
  if (found?.state !== "live" || found.session.userId !== userId || createdVersionOf(found) >= epoch)
    return {};
  const { session, version, epochs } = found;
  return {
    check: [{ key: recordKeys.session(session.id), version }, ...epochChecks(session, epochs)],
    // Exactly this epoch spares it. A later one, which another node writes again, still ends it.
    put: [sessionPut({ ...session, createdVersion: epoch })],
  };
}

async function commit(tools: RepairTools, step: Step): Promise<boolean> {
  return (await tools.logWriter.commit({ ...step, durable: true })).ok;
}
