import { joinedStep } from "../joined-step.ts";
import type { LogEvent } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { checkingEpochs } from "../sessions/session-epochs.ts";
import { type FoundSession, findReadableSession } from "../sessions/session-reading.ts";
import { bornAnew, bornAt, puttingSession, readableSession } from "../sessions/session-record.ts";
import type { Step } from "../store.ts";
import type { EpochCut, Memory, SessionCut } from "./memory.ts";
import { assertLogins, assertRecords, type RecordReassertionTools } from "./record-reassertion.ts";

export interface ReassertionTools extends RecordReassertionTools {
  readonly memory: Pick<Memory, "sessions" | "users" | "clients" | "everybody" | "records" | "logins">;
}

/** Revocations of one commit: each costs a record and, at most, an event. */
const batchSize = 200;
/** Only refreshes of the one session that a raise spared can come in between. */
const mostAttempts = 10;

/**
 * Writes all that this node remembers of revocations again, after the store went back in time: tombstones where a
 * session's record lives, epochs at least as high as they were, and the events, which other nodes may never have seen.
 * Then what the records of users and logins had lost (see `Lessenings`), with whoever has come in by that since.
 *
 * Idempotent, whoever else does it at the same time; epochs keep their numbers, so that no newer login is cut off.
 * Resolves to how many revocations it wrote. Rejects with `unavailable`; then all of it has to be done again.
 */
export async function reassert(tools: ReassertionTools): Promise<number> {
  const sessions = [...tools.memory.sessions.entries()];
  const users = [...tools.memory.users.entries()];
  for (const batch of batchesOf(sessions)) await assertSessions(tools, batch);
  const raising = [
    ...users.filter(([, cut]) => cut.spare === null).map(([userId, cut]) => raisingUser(userId, cut)),
    ...[...tools.memory.clients.entries()].map(([clientId, cut]) => raisingClient(clientId, cut)),
    ...[...tools.memory.everybody.entries()].map(([, cut]) => raisingAll(cut)),
  ];
  for (const batch of batchesOf(raising)) await commit(tools, joinedStep(...batch));
  const sparing = users.filter(hasSpare);
  for (const [userId, cut] of sparing) await assertSparing(tools, userId, cut);
  let records = 0;
  for (const batch of batchesOf([...tools.memory.records.entries()]))
    records += await assertRecords(tools, batch);
  for (const batch of batchesOf([...tools.memory.logins.entries()]))
    records += await assertLogins(tools, batch);
  return sessions.length + raising.length + sparing.length + records;
}

function hasSpare(entry: readonly [string, EpochCut]): entry is [string, EpochCut & { spare: string }] {
  return entry[1].spare !== null;
}

async function assertSessions(
  tools: ReassertionTools,
  batch: readonly (readonly [string, SessionCut])[],
): Promise<void> {
  const records = await tools.store.get(batch.map(([id]) => recordKeys.session(id)));
  const now = tools.clock.now();
  const put = batch.flatMap(([, { cause }], place) => {
    const record = records[place];
    const session = record && readableSession(record);
    if (session === undefined || session.revokedAt !== undefined) return [];
    return [puttingSession({ ...session, revokedAt: now, revokedCause: cause })];
  });
  await commit(tools, { put, log: eventsOf(batch).map((event) => ({ ...event })) });
}

/** One event per revocation, as it was. */
function eventsOf(batch: readonly (readonly [string, SessionCut])[]): readonly LogEvent[] {
  const groups = new Map<string, { readonly cut: SessionCut; readonly sessionIds: string[] }>();
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

function raisingUser(userId: string, { epoch, spare, cause, revocationId }: EpochCut): Step {
  const event: LogEvent = { type: "user_revoked", userId, cause, revocationId, spare, epoch };
  return { raiseTo: [{ key: recordKeys.userEpoch(userId), version: epoch }], log: [{ ...event }] };
}

function raisingClient(clientId: string, { epoch, cause, revocationId }: EpochCut): Step {
  const event: LogEvent = { type: "client_revoked", clientId, cause, revocationId, epoch };
  return { raiseTo: [{ key: recordKeys.clientEpoch(clientId), version: epoch }], log: [{ ...event }] };
}

function raisingAll({ epoch, cause, revocationId }: EpochCut): Step {
  const event: LogEvent = { type: "all_revoked", cause, revocationId, epoch };
  return { raiseTo: [{ key: recordKeys.allEpoch, version: epoch }], log: [{ ...event }] };
}

/**
 * The commit that raised the epoch had also written the spared session again, and that went with it: without another
 * writing the raise would end the one session that it was to leave.
 */
async function assertSparing(
  tools: ReassertionTools,
  userId: string,
  cut: EpochCut & { readonly spare: string },
): Promise<void> {
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const spared = await findReadableSession(tools, cut.spare);
    const step = joinedStep(rewriting(spared, userId, cut.epoch), raisingUser(userId, cut));
    if (await commit(tools, step)) return;
  }
  // It is refreshed all the time: the raise matters more than the session that it was to leave.
  await commit(tools, raisingUser(userId, cut));
}

/** Only of a session that lives, and would not after the raise. */
function rewriting(found: FoundSession | undefined, userId: string, epoch: number): Step {
  if (found?.state !== "live" || found.session.userId !== userId || bornAt(found) >= epoch) return {};
  const { session, version, epochs } = found;
  return {
    check: [{ key: recordKeys.session(session.id), version }, ...checkingEpochs(session, epochs)],
    put: [puttingSession(bornAnew(session))],
  };
}

async function commit(tools: ReassertionTools, step: Step): Promise<boolean> {
  return (await tools.journal.commit({ ...step, durable: true })).ok;
}

function batchesOf<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  const batches: (readonly Item[])[] = [];
  for (let start = 0; start < items.length; start += batchSize)
    batches.push(items.slice(start, start + batchSize));
  return batches;
}
