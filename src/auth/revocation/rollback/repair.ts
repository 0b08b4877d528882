import type { LogEvent } from "../../model.ts";
import { recordKeys } from "../../record-keys.ts";
import { type FoundSession, findReadableSession } from "../../sessions/session-reading.ts";
import {
  createdVersionOf,
  epochChecks,
  parseSession,
  sessionPut,
  withoutCreatedVersion,
} from "../../sessions/session-record.ts";
import type { Step } from "../../store.ts";
import { mergeSteps } from "../../store.ts";
import type { RaisedEpoch, RevocationCache, RevokedSession } from "../revocation-cache.ts";
import { type RecordRepairTools, repairLogins, repairUsers } from "./repair-records.ts";

export interface RepairTools extends RecordRepairTools {
  readonly cache: Pick<
    RevocationCache,
    "sessions" | "users" | "clients" | "everybody" | "rightsDecisions" | "loginChanges"
  >;
}

/** Revocations of one commit: each costs a record and, at most, an event. */
const batchSize = 200;
/** Only refreshes of the one session that a raise spared can come in between. */
const maxAttempts = 10;

/**
 * Writes all that this node remembers of revocations again, after the store went back in time: tombstones where a
 * session's record lives, epochs at least as high as they were, and the events, which other nodes may never have seen.
 * Then what the records of users and logins had lost (see `Lessenings`), with whoever has come in by that since.
 *
 * Idempotent, whoever else does it at the same time; epochs keep their numbers, so that no newer login is cut off.
 * Resolves to how many revocations it wrote. Rejects with `unavailable`; then all of it has to be done again.
 */
export async function repairRollback(tools: RepairTools): Promise<number> {
  const sessions = [...tools.cache.sessions.entries()];
  const users = [...tools.cache.users.entries()];
  for (const batch of batchesOf(sessions)) await restoreTombstones(tools, batch);
  const raising = [
    ...users.filter(([, cut]) => cut.except === null).map(([userId, cut]) => raiseUserEpochStep(userId, cut)),
    ...[...tools.cache.clients.entries()].map(([clientId, cut]) => raiseClientEpochStep(clientId, cut)),
    ...[...tools.cache.everybody.entries()].map(([, cut]) => raiseAllEpochStep(cut)),
  ];
  for (const batch of batchesOf(raising)) await commit(tools, mergeSteps(...batch));
  const sparing = users.filter(hasException);
  for (const [userId, cut] of sparing) await restoreEpochSparing(tools, userId, cut);
  let records = 0;
  for (const batch of batchesOf([...tools.cache.rightsDecisions.entries()]))
    records += await repairUsers(tools, batch);
  for (const batch of batchesOf([...tools.cache.loginChanges.entries()]))
    records += await repairLogins(tools, batch);
  return sessions.length + raising.length + sparing.length + records;
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

/** One event per revocation, as it was. */
function eventsOf(batch: readonly (readonly [string, RevokedSession])[]): readonly LogEvent[] {
  const groups = new Map<string, { readonly cut: RevokedSession; readonly sessionIds: string[] }>();
  for (const [id, cut] of batch) {
    const key = `${cut.revocationId} ${cut.userId}`;
    const group = groups.get(key) ?? { cut, sessionIds: [] };
    group.sessionIds.push(id);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ cut, sessionIds }) => ({
    type: "sessions_revoked",
    sessionIds,
    ...cut,
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
 * The commit that raised the epoch had also written the spared session again, and that went with it: without another
 * writing the raise would end the one session that it was to leave.
 */
async function restoreEpochSparing(
  tools: RepairTools,
  userId: string,
  cut: RaisedEpoch & { readonly except: string },
): Promise<void> {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const spared = await findReadableSession(tools, cut.except);
    const step = mergeSteps(rewriteSparedStep(spared, userId, cut.epoch), raiseUserEpochStep(userId, cut));
    if (await commit(tools, step)) return;
  }
  // It is refreshed all the time: the raise matters more than the session that it was to leave.
  await commit(tools, raiseUserEpochStep(userId, cut));
}

/** Only of a session that lives, and would not after the raise. */
function rewriteSparedStep(found: FoundSession | undefined, userId: string, epoch: number): Step {
  if (found?.state !== "live" || found.session.userId !== userId || createdVersionOf(found) >= epoch)
    return {};
  const { session, version, epochs } = found;
  return {
    check: [{ key: recordKeys.session(session.id), version }, ...epochChecks(session, epochs)],
    put: [sessionPut(withoutCreatedVersion(session))],
  };
}

async function commit(tools: RepairTools, step: Step): Promise<boolean> {
  return (await tools.logWriter.commit({ ...step, durable: true })).ok;
}

function batchesOf<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  const batches: (readonly Item[])[] = [];
  for (let start = 0; start < items.length; start += batchSize)
    batches.push(items.slice(start, start + batchSize));
  return batches;
}
