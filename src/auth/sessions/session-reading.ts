import type { Clock } from "../clock.ts";
import type { Session } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { readRecord, type Store } from "../store.ts";
import { type Epochs, highestEpoch, readEpochs, readEpochsOfClients } from "./session-epochs.ts";
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
  /** Read after the session. */
  readonly epochs: Epochs;
  readonly state: SessionState;
}

/** Throws `unavailable` for a damaged record. */
export async function findSession(tools: ReadingTools, sessionId: string): Promise<FoundSession | undefined> {
  const record = await readRecord(tools.store, recordKeys.session(sessionId));
  return record && (await standingOf(tools, sessionOf(record)));
}

/** Undefined for a damaged record too. */
export async function findReadableSession(
  tools: ReadingTools,
  sessionId: string,
): Promise<FoundSession | undefined> {
  const record = await readRecord(tools.store, recordKeys.session(sessionId));
  const session = record && readableSession(record);
  return record && session && (await standingOf(tools, { session, version: record.version }));
}

/** The epochs are read last: a raise in between makes the session look dead, which it is. */
async function standingOf({ store, clock }: ReadingTools, found: VersionedSession): Promise<FoundSession> {
  const epochs = await readEpochs(store, found.session);
  return { ...found, epochs, state: sessionState(found, highestEpoch(epochs), clock.now()) };
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
    const records = await store.get(page.map(recordKeys.session));
    const found = records.flatMap((record) => {
      const session = record && readableSession(record);
      return record === undefined || session === undefined ? [] : [{ session, version: record.version }];
    });
    live.push(...(await liveOnes(store, userId, found, clock.now())));
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

/** The epochs are read last here too. */
async function liveOnes(
  store: Store,
  userId: string,
  found: readonly VersionedSession[],
  now: number,
): Promise<readonly Session[]> {
  const epochOf = await readEpochsOfClients(
    store,
    userId,
    found.map(({ session }) => session.clientId),
  );
  return found
    .filter((each) => sessionState(each, highestEpoch(epochOf(each.session.clientId)), now) === "live")
    .map(({ session }) => session);
}

/** A member without a record never gets one again: ids are given once, and record and member in one commit. */
async function unlink(store: Store, userId: string, gone: readonly string[]): Promise<void> {
  if (gone.length === 0) return;
  const index = indexKeys.sessionsOf(userId);
  await store.commit({ unlink: gone.map((member) => ({ index, member })) });
}
