import type { Clock } from "../clock/clock.ts";
import type { PageRequest, Session } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import { type LoopYielder, sliceSize } from "../scheduling/loop-yielder.ts";
import { readRecord, type Store } from "../store.ts";
import {
  createdVersionOf,
  type Epochs,
  expiryUnknown,
  highestEpoch,
  parseSession,
  readEpochs,
  readEpochsOfClients,
  requireSession,
  type SessionState,
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
  readonly state: Exclude<SessionState, "unsure">;
}

/** Throws `unavailable` for a damaged record. */
export async function findSession(tools: ReadingTools, sessionId: string): Promise<FoundSession | undefined> {
  const record = await readRecord(tools.store, recordKeys.session(sessionId));
  return record && (await withState(tools, requireSession(record)));
}

/** Undefined for a damaged record too. */
export async function findReadableSession(
  tools: ReadingTools,
  sessionId: string,
): Promise<FoundSession | undefined> {
  const record = await readRecord(tools.store, recordKeys.session(sessionId));
  const session = record && parseSession(record);
  return record && session && (await withState(tools, { session, version: record.version }));
}

/**
 * The epochs are read last, so a bump in between makes the session look dead, which it is. Throws `unavailable` while
 * it is not known whether the session has expired.
 */
async function withState({ store, clock }: ReadingTools, found: VersionedSession): Promise<FoundSession> {
  const epochs = await readEpochs(store, found.session);
  const state = sessionState(found, highestEpoch(epochs), clock);
  if (state === "unsure") throw expiryUnknown();
  return { ...found, epochs, state };
}

/** What reading all of a user's sessions needs in addition: it yields to other work between slices. */
export interface ListingTools extends ReadingTools {
  readonly yielder: LoopYielder;
}

export interface SessionPage {
  readonly sessions: readonly Session[];
  /** The id to continue after. Undefined: there are no more. */
  readonly next: string | undefined;
}

/** Live sessions, oldest first. Removes stale ones it finds. */
export async function listSessions(tools: ListingTools, userId: string): Promise<readonly Session[]> {
  const live: Session[] = [];
  let after: string | undefined;
  do {
    await tools.yielder.next();
    const page = await readPage(tools, userId, { after, limit: sliceSize });
    live.push(...page.sessions);
    after = page.next;
  } while (after !== undefined);
  return live.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
}

/** Live sessions in the order of their ids, at most `limit`. There may be fewer although more follow. */
export async function readSessionPage(
  tools: ListingTools,
  userId: string,
  { after, limit }: PageRequest,
): Promise<SessionPage> {
  const sessions: Session[] = [];
  let next = after;
  for (let left = limit; left > 0; left -= sliceSize) {
    await tools.yielder.next();
    const page = await readPage(tools, userId, { after: next, limit: Math.min(left, sliceSize) });
    sessions.push(...page.sessions);
    next = page.next;
    if (next === undefined) break;
  }
  return { sessions, next };
}

async function readPage(
  { store, clock }: ReadingTools,
  userId: string,
  { after, limit }: PageRequest,
): Promise<SessionPage> {
  const from = after === undefined ? {} : { after };
  const ids = await store.list(indexKeys.sessionsOf(userId), { limit, ...from });
  if (ids.length === 0) return { sessions: [], next: undefined };
  const records = await store.get(ids.map(recordKeys.session));
  const found = records.flatMap((record) => {
    const session = record && parseSession(record);
    return record === undefined || session === undefined ? [] : [{ session, version: record.version }];
  });
  const { live, outdated } = await partition({ store, clock }, userId, found);
  const missing = ids.filter((_, place) => records[place] === undefined);
  await removeStale(store, userId, { missing, outdated });
  return { sessions: live, next: ids.length < limit ? undefined : ids.at(-1) };
}

/** Separates live sessions from those older than an epoch. The epochs are read last here too. */
async function partition(
  { store, clock }: ReadingTools,
  userId: string,
  found: readonly VersionedSession[],
): Promise<{ readonly live: readonly Session[]; readonly outdated: readonly string[] }> {
  const epochOf = await readEpochsOfClients(
    store,
    userId,
    found.map(({ session }) => session.clientId),
  );
  const epoch = ({ session }: VersionedSession) => highestEpoch(epochOf(session.clientId));
  return {
    live: found
      .filter((each) => ["live", "unsure"].includes(sessionState(each, epoch(each), clock)))
      .map(({ session }) => session),
    outdated: found.filter((each) => createdVersionOf(each) < epoch(each)).map(({ session }) => session.id),
  };
}

/**
 * Removes stale sessions. A member without a record never gets one again: ids are not reused, and one commit creates
 * both. A session that is older than an epoch stays dead.
 */
async function removeStale(
  store: Store,
  userId: string,
  { missing, outdated }: { readonly missing: readonly string[]; readonly outdated: readonly string[] },
): Promise<void> {
  const stale = [...missing, ...outdated];
  if (stale.length === 0) return;
  const index = indexKeys.sessionsOf(userId);
  await store.commit({
    remove: outdated.map(recordKeys.session),
    unlink: stale.map((member) => ({ index, member })),
  });
}
