import { LRUCache } from "lru-cache";
import type { CloseName } from "../../../protocol/close-codes.ts";
import type { Clock } from "../clock/clock.ts";
import { consistentRead } from "../consistent-read.ts";
import { AuthError } from "../errors.ts";
import { recordKeys } from "../record-keys.ts";
import { closeNameOf } from "../revocation/cause.ts";
import type { RevocationEvent } from "../revocation/listeners.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { MutableRevocationView, RightsDecision } from "../revocation/view.ts";
import type { Store, StoredRecord } from "../store.ts";
import { isActive } from "../users/account-status.ts";
import { applyDecidedRights } from "../users/decided-rights.ts";
import { userOf } from "../users/user-record.ts";
import {
  epochKeys,
  epochsFromRecords,
  highestEpoch,
  requireSession,
  sessionState,
} from "./session-record.ts";

/** What the store says of a session and its user. */
export type SessionStatus =
  | {
      readonly live: true;
      readonly epoch: number;
      readonly localOnly: boolean;
      readonly sessionExpiresAt: number | null;
    }
  | { readonly live: false; readonly close: CloseName };

export interface SessionStatusCache {
  /**
   * From the cache, or one look-up that all who ask at the same time share. Rejects with `unavailable`, also where the store
   * says that the session is over and is not to be `consistentRead`.
   */
  of(subject: Subject): Promise<SessionStatus>;
  /** What is known without a look-up, and was not touched by any cut since. */
  known(sessionId: string): SessionStatus | undefined;
  /**
   * The store's word now, whatever is known, in the order of `subjects`; in few reads. Rejects with `unavailable`. Who
   * has a damaged record is not live, and keeps nobody else from an answer.
   */
  read(subjects: readonly Subject[]): Promise<readonly SessionStatus[]>;
}

/** A session, and the user and the client that it is said to be of. */
export interface Subject {
  readonly sessionId: string;
  readonly userId: string;
  readonly clientId: string | null;
}

const defaultCapacity = 10_000;
/** Sessions of one read: each costs five keys at most. */
const atOnce = 200;

/** The client comes again, and is told what holds then. */
const damaged: SessionStatus = { live: false, close: "unavailable" };

interface Entry {
  readonly userId: string;
  readonly invalidationCount: number;
  readonly answer: Promise<SessionStatus>;
  status?: SessionStatus;
}

/** Look-ups of sessions that the revocation view cannot judge, kept until the log says otherwise. */
export function createSessionStatusCache(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Pick<Revocation, "onRevocation"> & { readonly view: MutableRevocationView };
  readonly capacity?: number;
}): SessionStatusCache {
  const { store, clock, revocation, capacity = defaultCapacity } = options;
  const tools = { store, clock, view: revocation.view };
  const ofUser = new Map<string, Set<string>>();
  const entries = new LRUCache<string, Entry>({
    max: capacity,
    dispose({ userId }, sessionId) {
      const sessions = ofUser.get(userId);
      sessions?.delete(sessionId);
      if (sessions?.size === 0) ofUser.delete(userId);
    },
  });
  revocation.onRevocation((event) => {
    if (event.kind === "client" || event.kind === "all") entries.clear();
    else for (const sessionId of affectedSessions(event, ofUser)) entries.delete(sessionId);
    return 0;
  });

  const valid = (sessionId: string): Entry | undefined => {
    const entry = entries.get(sessionId);
    const { status } = entry ?? {};
    const ended = status?.live === true && hasEnded(status.sessionExpiresAt, clock.now());
    return ended || entry?.invalidationCount !== revocation.view.invalidationCount ? undefined : entry;
  };
  const read = (subjects: readonly Subject[]) =>
    consistentRead(revocation.view, () => readStatuses(tools, subjects), anyEnded);
  const lookUp = (subject: Subject): Promise<SessionStatus> => {
    const { sessionId, userId } = subject;
    const answer = read([subject]).then(requireStatus);
    const entry: Entry = { userId, invalidationCount: revocation.view.invalidationCount, answer };
    entries.set(sessionId, entry);
    ofUser.set(userId, (ofUser.get(userId) ?? new Set()).add(sessionId));
    const forget = () => {
      if (entries.get(sessionId) === entry) entries.delete(sessionId);
    };
    answer.then((status) => {
      entry.status = status;
    }, forget);
    return answer;
  };

  return {
    of: (subject) => valid(subject.sessionId)?.answer ?? lookUp(subject),
    known: (sessionId) => valid(sessionId)?.status,
    async read(subjects) {
      const statuses: SessionStatus[] = [];
      for (let at = 0; at < subjects.length; at += atOnce) {
        const found = await read(subjects.slice(at, at + atOnce));
        statuses.push(...found.map((each) => each ?? damaged));
      }
      return statuses;
    },
  };
}

function anyEnded(statuses: readonly (SessionStatus | undefined)[]): boolean {
  return statuses.some((status) => status?.live === false);
}

function requireStatus([status]: readonly (SessionStatus | undefined)[]): SessionStatus {
  if (status === undefined) throw new AuthError("unavailable", { detail: "a damaged session or user" });
  return status;
}

function affectedSessions(
  event: Exclude<RevocationEvent, { kind: "client" | "all" }>,
  ofUser: ReadonlyMap<string, ReadonlySet<string>>,
): readonly string[] {
  switch (event.kind) {
    case "sessions":
      return event.sessionIds;
    case "session_changed":
      return [event.sessionId];
    case "keys":
    case "audited":
      return [];
    case "user":
    case "user_changed":
      return [...(ofUser.get(event.userId) ?? [])];
  }
}

function hasEnded(end: number | null, now: number): boolean {
  return end !== null && end <= now;
}

interface StatusTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly view: Pick<MutableRevocationView, "decidedRights">;
}

/** One read, of one moment. Nothing that is missing or damaged lets anybody in; damaged: undefined. */
async function readStatuses(
  { store, clock, view }: StatusTools,
  subjects: readonly Subject[],
): Promise<readonly (SessionStatus | undefined)[]> {
  const keys = subjects.map((subject) => [
    recordKeys.session(subject.sessionId),
    recordKeys.user(subject.userId),
    ...epochKeys(subject),
  ]);
  const records = await store.get(keys.flat());
  let place = 0;
  return subjects.map((subject, at) => {
    const count = keys[at]?.length ?? 0;
    const [session, user, ...epochs] = records.slice(place, place + count);
    place += count;
    try {
      const epoch = highestEpoch(epochsFromRecords(epochs));
      const decided = view.decidedRights(subject.userId);
      return statusOf(subject, { session, user, epoch, decided }, clock);
    } catch {
      return undefined;
    }
  });
}

interface Records {
  readonly session: StoredRecord | undefined;
  readonly user: StoredRecord | undefined;
  readonly epoch: number;
  /** Known after the read. */
  readonly decided: RightsDecision | undefined;
}

function statusOf(
  subject: Subject,
  { session, user: record, epoch, decided }: Records,
  clock: Clock,
): SessionStatus {
  const user = record && applyDecidedRights({ user: userOf(record), version: record.version }, decided);
  if (user === undefined) return { live: false, close: "user_removed" };
  if (!isActive(user)) return { live: false, close: "user_deactivated" };
  if (session === undefined) return { live: false, close: "session_revoked" };
  const found = requireSession(session);
  const { userId, clientId, revokedCause = "session_revoked", expiresAt } = found.session;
  const state = sessionState(found, epoch, clock);
  const isOther = userId !== subject.userId || clientId !== subject.clientId;
  if (isOther || state === "dead") return { live: false, close: closeNameOf(revokedCause) };
  if (state === "expired") return { live: false, close: "session_expired" };
  return { live: true, epoch, localOnly: user.localOnly, sessionExpiresAt: expiresAt };
}
