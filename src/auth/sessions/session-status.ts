import { LRUCache } from "lru-cache";
import type { CloseName } from "../../../protocol/close-codes.ts";
import type { Clock } from "../clock/clock.ts";
import { consistentRead, untrusted } from "../consistent-read.ts";
import { AuthError } from "../errors.ts";
import { type Assurance, isBelow } from "../factors/assurance.ts";
import { recordKeys } from "../record-keys.ts";
import { closeNameOf } from "../revocation/cause.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { SecurityEvent } from "../revocation/security-events.ts";
import type { MutableRevocationView, OwnerChange, RightsDecision } from "../revocation/view.ts";
import type { Store, StoredRecord } from "../store.ts";
import { isActive } from "../users/account-status.ts";
import { applyDecidedRights } from "../users/decided-rights.ts";
import { requireUser } from "../users/user-record.ts";
import {
  epochKeys,
  epochsFromRecords,
  highestEpoch,
  requireSession,
  sessionState,
} from "./session-record.ts";

/** The status of a session and its user in the store. */
export type SessionStatus =
  | {
      readonly live: true;
      readonly epoch: number;
      readonly localOnly: boolean;
      readonly sessionExpiresAt: number | null;
      /** The commit that made the user local-only has this number or a lower one. */
      readonly asOf: number;
    }
  /** `asOf`: the commit that ended it has this number or a lower one. */
  | { readonly live: false; readonly close: CloseName; readonly asOf: number };

export interface SessionStatusCache {
  /**
   * From the cache, or by one look-up that concurrent callers share. Rejects with `unavailable`, also if the store
   * says that the session has ended and the answer fails `consistentRead`. An ended session, and a user who is
   * local-only, are reported only after this node has applied the log up to the commit that made them so, and so has
   * closed the other sockets: the store can know of a revocation before the log has delivered it here.
   */
  of(subject: Subject): Promise<SessionStatus>;
  /** What is cached and was not affected by any revocation since. */
  known(sessionId: string): SessionStatus | undefined;
  /**
   * Reads the store now, without the cache, in few reads. The results are in the order of `subjects`. Rejects with
   * `unavailable`. A damaged record makes its own session not live, and does not affect the others.
   */
  read(subjects: readonly Subject[]): Promise<readonly SessionStatus[]>;
}

/** A session with the user and the client that its token names. */
export interface Subject {
  readonly sessionId: string;
  readonly userId: string;
  readonly clientId: string | null;
}

const defaultCapacity = 10_000;
/** Sessions in one read. Each needs at most six keys. */
const batchSize = 200;

/** How long an ended session's entry of the log is awaited, ms. As long as a lease, about. */
const entryWaitMs = 2_000;

/** The client tries again later. */
const damaged: SessionStatus = { live: false, close: "unavailable", asOf: 0 };

interface Entry {
  readonly userId: string;
  readonly invalidationCount: number;
  readonly answer: Promise<SessionStatus>;
  status?: SessionStatus;
}

/** Caches look-ups of sessions that the revocation view cannot judge, until the log invalidates them. */
export function createSessionStatusCache(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Pick<Revocation, "onSecurityEvent" | "whenApplied"> & {
    readonly view: MutableRevocationView;
  };
  readonly assurance: Pick<Assurance, "demandFrom">;
  readonly capacity?: number;
}): SessionStatusCache {
  const { store, clock, revocation, assurance, capacity = defaultCapacity } = options;
  const tools = { store, clock, assurance, view: revocation.view };
  const sessionsByUser = new Map<string, Set<string>>();
  const entries = new LRUCache<string, Entry>({
    max: capacity,
    dispose({ userId }, sessionId) {
      const sessions = sessionsByUser.get(userId);
      sessions?.delete(sessionId);
      if (sessions?.size === 0) sessionsByUser.delete(userId);
    },
  });
  revocation.onSecurityEvent((event) => {
    if (event.kind === "client" || event.kind === "all") entries.clear();
    else for (const sessionId of affectedSessions(event, sessionsByUser)) entries.delete(sessionId);
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
  /** Otherwise this node would refuse a socket, and serve others afterwards that the same change ends. */
  const onceApplied = async (status: SessionStatus): Promise<SessionStatus> => {
    const endsNothing = status.live && !status.localOnly;
    if (endsNothing || (await revocation.whenApplied(status.asOf, entryWaitMs))) return status;
    throw untrusted();
  };
  const lookUp = (subject: Subject): Promise<SessionStatus> => {
    const { sessionId, userId } = subject;
    const answer = read([subject]).then(requireStatus).then(onceApplied);
    const entry: Entry = { userId, invalidationCount: revocation.view.invalidationCount, answer };
    entries.set(sessionId, entry);
    sessionsByUser.set(userId, (sessionsByUser.get(userId) ?? new Set()).add(sessionId));
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
      for (let at = 0; at < subjects.length; at += batchSize) {
        const found = await read(subjects.slice(at, at + batchSize));
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
  event: Exclude<SecurityEvent, { kind: "client" | "all" }>,
  sessionsByUser: ReadonlyMap<string, ReadonlySet<string>>,
): readonly string[] {
  switch (event.kind) {
    case "sessions":
      return event.sessionIds;
    case "session_changed":
      return [event.sessionId];
    case "keys":
    case "owner_changed":
    case "group_changed":
    case "factor_demands_changed":
    case "resources_changed":
    case "audited":
      return [];
    case "user":
    case "user_changed":
      return [...(sessionsByUser.get(event.userId) ?? [])];
  }
}

function hasEnded(end: number | null, now: number): boolean {
  return end !== null && end <= now;
}

interface StatusTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly assurance: Pick<Assurance, "demandFrom">;
  readonly view: Pick<MutableRevocationView, "decidedRights" | "ownerChange">;
}

/** One read at one moment. A missing record means not live. Undefined for a damaged one. */
async function readStatuses(
  tools: StatusTools,
  subjects: readonly Subject[],
): Promise<readonly (SessionStatus | undefined)[]> {
  const { store, view } = tools;
  const keys = subjects.map((subject) => [
    recordKeys.session(subject.sessionId),
    recordKeys.user(subject.userId),
    recordKeys.factors(subject.userId),
    ...epochKeys(subject),
  ]);
  const records = await store.get([...keys.flat(), recordKeys.factorDemands]);
  const demands = records.at(-1);
  let place = 0;
  return subjects.map((subject, at) => {
    const count = keys[at]?.length ?? 0;
    const [session, user, factors, ...epochs] = records.slice(place, place + count);
    place += count;
    try {
      const epoch = highestEpoch(epochsFromRecords(epochs));
      const decided = [view.decidedRights(subject.userId), view.ownerChange()] as const;
      return statusOf(tools, subject, { session, user, demanding: [factors, demands], epoch, decided });
    } catch {
      return undefined;
    }
  });
}

interface Records {
  readonly session: StoredRecord | undefined;
  readonly user: StoredRecord | undefined;
  /** The user's factors, and the groups that demand one. */
  readonly demanding: readonly (StoredRecord | undefined)[];
  readonly epoch: number;
  /** From the log, asked after the read. */
  readonly decided: readonly [RightsDecision | undefined, OwnerChange | undefined];
}

function statusOf(
  { clock, assurance }: StatusTools,
  subject: Subject,
  { session, user: record, demanding, epoch, decided }: Records,
): SessionStatus {
  const asOf = Math.max(epoch, ...[session, record, ...demanding].map((each) => each?.version ?? 0));
  const ended = (close: CloseName): SessionStatus => ({ live: false, close, asOf });
  if (record === undefined) return ended("user_removed");
  const user = applyDecidedRights({ user: requireUser(record), version: record.version }, ...decided);
  if (user === undefined) return ended("user_removed");
  if (!isActive(user)) return ended("user_deactivated");
  if (session === undefined) return ended("session_revoked");
  const found = requireSession(session);
  const { userId, clientId, revokedCause = "session_revoked", expiresAt } = found.session;
  const state = sessionState(found, epoch, clock);
  const isOther = userId !== subject.userId || clientId !== subject.clientId;
  if (isOther || state === "dead") return ended(closeNameOf(revokedCause));
  if (state === "expired") return ended("session_expired");
  // Left over where a change that ends such sessions was cut short.
  if (isBelow(found.session, assurance.demandFrom(user, demanding))) return ended("session_revoked");
  return { live: true, epoch, localOnly: user.localOnly, sessionExpiresAt: expiresAt, asOf: record.version };
}
