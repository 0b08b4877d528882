import type { Clock } from "../clock.ts";
import type { Session } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { readRecord, type Store } from "../store.ts";
import {
  readableSession,
  type SessionState,
  sessionOf,
  sessionState,
  type VersionedSession,
} from "./session-record.ts";

export interface ReadingTools {
  readonly store: Store;
  readonly clock: Clock;
}

export interface FoundSession extends VersionedSession {
  /** The version of the user's epoch record, read after the session. */
  readonly epoch: number;
  readonly state: SessionState;
}

/** The epoch is read last: a raise in between makes the session look dead, which it is. */
export async function findSession(
  { store, clock }: ReadingTools,
  sessionId: string,
): Promise<FoundSession | undefined> {
  const record = await readRecord(store, recordKeys.session(sessionId));
  if (record === undefined) return undefined;
  const found = sessionOf(record);
  const epoch = (await readRecord(store, recordKeys.userEpoch(found.session.userId)))?.version ?? 0;
  return { ...found, epoch, state: sessionState(found, epoch, clock.now()) };
}

const pageSize = 500;

/** Live sessions, oldest first. What the store has collected meanwhile leaves the index on the way. */
export async function listSessions(
  { store, clock }: ReadingTools,
  userId: string,
): Promise<readonly Session[]> {
  const live: Session[] = [];
  let after: string | undefined;
  for (;;) {
    const from = after === undefined ? {} : { after };
    const page = await store.list(indexKeys.sessionsOf(userId), { limit: pageSize, ...from });
    if (page.length === 0) break;
    const [epoch, ...records] = await store.get([
      recordKeys.userEpoch(userId),
      ...page.map(recordKeys.session),
    ]);
    for (const record of records) {
      const session = record && readableSession(record);
      if (record === undefined || session === undefined) continue;
      const state = sessionState({ session, version: record.version }, epoch?.version ?? 0, clock.now());
      if (state === "live") live.push(session);
    }
    await unlink(
      store,
      userId,
      page.filter((_, place) => records[place] === undefined),
    );
    after = page.at(-1);
    if (page.length < pageSize) break;
  }
  return live.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
}

/** A member without a record never gets one again: ids are given once, and record and member in one commit. */
async function unlink(store: Store, userId: string, gone: readonly string[]): Promise<void> {
  if (gone.length === 0) return;
  const index = indexKeys.sessionsOf(userId);
  await store.commit({ unlink: gone.map((member) => ({ index, member })) });
}
