import type { CloseName } from "../../protocol/close-codes.ts";
import { believed } from "./believed.ts";
import type { Clock } from "./clock.ts";
import { AuthError } from "./errors.ts";
import { LeastRecentlyUsed } from "./least-recently-used.ts";
import { recordKeys } from "./record-keys.ts";
import { closeNameOf } from "./revocation/cause.ts";
import type { Cut, Revocation, RightsDecision } from "./revocation/revocation.ts";
import type { GrowingView } from "./revocation/view.ts";
import { epochKeys, epochsOf, highestEpoch } from "./sessions/session-epochs.ts";
import { sessionOf, sessionState } from "./sessions/session-record.ts";
import type { Store, StoredRecord } from "./store.ts";
import { withoutLost } from "./users/lost-rights.ts";
import { userOf } from "./users/user-record.ts";

/** What the store says of a session and its user. */
export type Standing =
  | {
      readonly live: true;
      readonly epoch: number;
      readonly localOnly: boolean;
      readonly sessionExpiresAt: number | null;
    }
  | { readonly live: false; readonly close: CloseName };

export interface SessionStandings {
  /**
   * From the cache, or one look-up that all who ask at the same time share. Rejects with `unavailable`, also where the store
   * says that the session is over and is not to be `believed`.
   */
  of(subject: Subject): Promise<Standing>;
  /** What is known without a look-up, and was not touched by any cut since. */
  known(sessionId: string): Standing | undefined;
  /**
   * The store's word now, whatever is known, in the order of `subjects`; in few reads. Rejects with `unavailable`. Who
   * has a damaged record is not live, and keeps nobody else from an answer.
   */
  read(subjects: readonly Subject[]): Promise<readonly Standing[]>;
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
const damaged: Standing = { live: false, close: "unavailable" };

interface Entry {
  readonly userId: string;
  readonly gaps: number;
  readonly answer: Promise<Standing>;
  standing?: Standing;
}

/** Look-ups of sessions that the revocation view cannot judge, kept until the log says otherwise. */
export function createSessionStandings(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Pick<Revocation, "onCut"> & { readonly view: GrowingView };
  readonly capacity?: number;
}): SessionStandings {
  const { store, clock, revocation, capacity = defaultCapacity } = options;
  const tools = { store, clock, view: revocation.view };
  const ofUser = new Map<string, Set<string>>();
  const entries = new LeastRecentlyUsed<string, Entry>(capacity, (sessionId, { userId }) => {
    const sessions = ofUser.get(userId);
    sessions?.delete(sessionId);
    if (sessions?.size === 0) ofUser.delete(userId);
  });
  revocation.onCut((cut) => {
    if (cut.kind === "client" || cut.kind === "all") entries.clear();
    else for (const sessionId of touched(cut, ofUser)) entries.delete(sessionId);
    return 0;
  });

  const valid = (sessionId: string): Entry | undefined => {
    const entry = entries.get(sessionId);
    const { standing } = entry ?? {};
    const ended = standing?.live === true && hasEnded(standing.sessionExpiresAt, clock.now());
    return ended || entry?.gaps !== revocation.view.gaps ? undefined : entry;
  };
  const read = (subjects: readonly Subject[]) =>
    believed(revocation.view, () => readStandings(tools, subjects), isOneOver);
  const lookUp = (subject: Subject): Promise<Standing> => {
    const { sessionId, userId } = subject;
    const answer = read([subject]).then(onlyOne);
    const entry: Entry = { userId, gaps: revocation.view.gaps, answer };
    entries.set(sessionId, entry);
    ofUser.set(userId, (ofUser.get(userId) ?? new Set()).add(sessionId));
    const forget = () => {
      if (entries.get(sessionId) === entry) entries.delete(sessionId);
    };
    answer.then((standing) => {
      entry.standing = standing;
    }, forget);
    return answer;
  };

  return {
    of: (subject) => valid(subject.sessionId)?.answer ?? lookUp(subject),
    known: (sessionId) => valid(sessionId)?.standing,
    async read(subjects) {
      const standings: Standing[] = [];
      for (let at = 0; at < subjects.length; at += atOnce) {
        const found = await read(subjects.slice(at, at + atOnce));
        standings.push(...found.map((each) => each ?? damaged));
      }
      return standings;
    },
  };
}

function isOneOver(standings: readonly (Standing | undefined)[]): boolean {
  return standings.some((standing) => standing?.live === false);
}

function onlyOne([standing]: readonly (Standing | undefined)[]): Standing {
  if (standing === undefined) throw new AuthError("unavailable", { detail: "a damaged session or user" });
  return standing;
}

function touched(
  cut: Exclude<Cut, { kind: "client" | "all" }>,
  ofUser: ReadonlyMap<string, ReadonlySet<string>>,
): readonly string[] {
  switch (cut.kind) {
    case "sessions":
      return cut.sessionIds;
    case "session_changed":
      return [cut.sessionId];
    case "keys":
      return [];
    case "user":
    case "user_changed":
      return [...(ofUser.get(cut.userId) ?? [])];
  }
}

function hasEnded(end: number | null, now: number): boolean {
  return end !== null && end <= now;
}

interface StandingTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly view: Pick<GrowingView, "decided">;
}

/** One read, of one moment. Nothing that is missing or damaged lets anybody in; damaged: undefined. */
async function readStandings(
  { store, clock, view }: StandingTools,
  subjects: readonly Subject[],
): Promise<readonly (Standing | undefined)[]> {
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
      const epoch = highestEpoch(epochsOf(epochs));
      const decided = view.decided(subject.userId);
      return standingOf(subject, { session, user, epoch, decided }, clock);
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

function standingOf(
  subject: Subject,
  { session, user: record, epoch, decided }: Records,
  clock: Clock,
): Standing {
  const user = record && withoutLost({ user: userOf(record), version: record.version }, decided);
  if (user === undefined) return { live: false, close: "user_removed" };
  const { isActive, localOnly } = user;
  if (!isActive) return { live: false, close: "user_deactivated" };
  if (session === undefined) return { live: false, close: "session_revoked" };
  const found = sessionOf(session);
  const { userId, clientId, revokedCause = "session_revoked", expiresAt } = found.session;
  const state = sessionState(found, epoch, clock);
  const isOther = userId !== subject.userId || clientId !== subject.clientId;
  if (isOther || state === "dead") return { live: false, close: closeNameOf(revokedCause) };
  if (state === "expired") return { live: false, close: "session_expired" };
  return { live: true, epoch, localOnly, sessionExpiresAt: expiresAt };
}
