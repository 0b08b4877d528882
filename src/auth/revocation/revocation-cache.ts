import type { LogEvent, Principal, RevocationCause } from "../model.ts";
import type { LogEntry, LogPosition } from "../store.ts";
import { ExpiringMap } from "./expiring-map.ts";
import type { RevocationEvent } from "./listeners.ts";
import type { Judgement, RightsDecision } from "./view.ts";

/** A revoked session, as it is remembered: enough to judge by, and to tell it again. */
export interface RevokedSession {
  readonly userId: string;
  readonly cause: RevocationCause;
  readonly revocationId: string;
}

const everybody = "everybody";

/** A raised epoch. */
export interface RaisedEpoch {
  readonly epoch: number;
  readonly except: string | null;
  readonly cause: RevocationCause;
  readonly revocationId: string;
  /**
   * It was told again after the log went back in time. A login from in between has a token that knows an older epoch
   * only, and is not meant: the store says which one it is.
   */
  readonly replayed: boolean;
}

/** What was done last to a login. */
export interface LoginChange {
  readonly version: number;
  readonly userId: string;
  readonly change: "removed" | "password";
  readonly except: string | null;
}

/** What was taken away not long ago; bounded by time, and by number. */
export class RevocationCache {
  readonly seen: ExpiringMap<string, true>;
  readonly sessions: ExpiringMap<string, RevokedSession>;
  readonly users: ExpiringMap<string, RaisedEpoch>;
  readonly clients: ExpiringMap<string, RaisedEpoch>;
  /** One entry at most. */
  readonly everybody: ExpiringMap<typeof everybody, RaisedEpoch>;
  /** When the user changed last, ms. */
  readonly userChangedAt: ExpiringMap<string, number>;
  /** By user. What there is no room for is not told again, and judged by the store as ever. */
  readonly rightsDecisions: ExpiringMap<string, RightsDecision>;
  /** By credential; the same. */
  readonly loginChanges: ExpiringMap<string, LoginChange>;
  readonly #all: readonly ExpiringMap<string, unknown>[];

  constructor(keptMs: number, capacity: number) {
    this.seen = new ExpiringMap(keptMs, capacity);
    this.sessions = new ExpiringMap(keptMs, capacity);
    this.users = new ExpiringMap(keptMs, capacity);
    this.clients = new ExpiringMap(keptMs, capacity);
    this.everybody = new ExpiringMap(keptMs, 1);
    this.userChangedAt = new ExpiringMap(keptMs, capacity);
    this.rightsDecisions = new ExpiringMap(keptMs, capacity);
    this.loginChanges = new ExpiringMap(keptMs, capacity);
    const { seen, sessions, users, clients, userChangedAt, rightsDecisions, loginChanges } = this;
    this.#all = [
      seen,
      sessions,
      users,
      clients,
      this.everybody,
      userChangedAt,
      rightsDecisions,
      loginChanges,
    ];
  }

  get size(): number {
    return this.#all.reduce((sum, map) => sum + map.size, 0);
  }

  /** Nothing is known of tokens from before this time (ms): there was no room for all that was revoked. */
  get evictedAt(): number {
    const { sessions, users, clients, userChangedAt } = this;
    return Math.max(...[sessions, users, clients, userChangedAt].map(({ evictedAt }) => evictedAt));
  }

  expire(now: number): void {
    for (const map of this.#all) map.expire(now);
  }

  /** True the first time. A place in the log alone is none: after the log went back in time it may be given again. */
  isNew(
    { position, event }: { readonly position: LogPosition; readonly event: LogEntry["event"] },
    now: number,
  ) {
    const key = `${position} ${typeof event.mac === "string" ? event.mac : ""}`;
    if (this.seen.get(key)) return false;
    this.seen.set(key, true, now);
    return true;
  }

  /** Takes an event in; what it cuts, when it cuts anything that was not cut before. */
  apply(event: LogEvent, entry: LogEntry, now: number): RevocationEvent | undefined {
    switch (event.type) {
      case "sessions_revoked": {
        const { userId, cause, revocationId } = event;
        const fresh = event.sessionIds.filter((id) => this.sessions.get(id) === undefined);
        for (const id of fresh) this.sessions.set(id, { userId, cause, revocationId }, now);
        return fresh.length === 0 ? undefined : { kind: "sessions", sessionIds: fresh, cause };
      }
      case "user_revoked": {
        const { userId, except, cause } = event;
        const cut = raisedEpochOf(event, entry);
        if (!raiseEpoch(this.users, userId, cut, now)) return undefined;
        return { kind: "user", userId, epoch: cut.epoch, except, cause };
      }
      case "client_revoked": {
        const { clientId, cause } = event;
        const cut = raisedEpochOf(event, entry);
        if (!raiseEpoch(this.clients, clientId, cut, now)) return undefined;
        return { kind: "client", clientId, epoch: cut.epoch, cause };
      }
      case "all_revoked": {
        const cut = raisedEpochOf(event, entry);
        if (!raiseEpoch(this.everybody, everybody, cut, now)) return undefined;
        return { kind: "all", epoch: cut.epoch, cause: event.cause };
      }
      case "user_changed":
        // Nobody holds a token from before the user was there.
        if (event.change !== "added")
          this.userChangedAt.set(
            event.userId,
            Math.max(entry.at, this.userChangedAt.get(event.userId) ?? 0),
            now,
          );
        return userChangedEvent(event, recordDecision(this.rightsDecisions, event, entry, now));
      case "login_changed":
        recordLoginChange(this.loginChanges, event, entry, now);
        return undefined;
      case "session_changed":
        return { kind: "session_changed", sessionId: event.sessionId };
      case "keyring_changed":
        return event.dropped === undefined ? undefined : { kind: "keys", keyIds: event.dropped };
      case "audited":
        return { kind: "audited", record: event.record };
      default:
        return undefined;
    }
  }

  /** `doubtUntil`: a token that was made before this time (ms) cannot be judged from memory. */
  judge(principal: Principal, doubtUntil: number): Judgement {
    const session = this.sessions.get(principal.sessionId);
    if (session !== undefined) return { state: "dead", cause: session.cause };
    const cut =
      ifEnds(principal, this.users.get(principal.userId)) ??
      (principal.clientId === null ? undefined : ifEnds(principal, this.clients.get(principal.clientId))) ??
      ifEnds(principal, this.everybody.get(everybody));
    if (cut !== undefined) return cut.replayed ? { state: "unknown" } : { state: "dead", cause: cut.cause };
    // A token that says otherwise is newer than the decision, or of a node whose clock is ahead: the store says which.
    const shutOut =
      !principal.localOnly && this.rightsDecisions.get(principal.userId)?.rights?.localOnly === true;
    return shutOut || principal.tokenIssuedAt <= doubtUntil ? { state: "unknown" } : { state: "live" };
  }
}

type EpochEvent = Extract<LogEvent, { type: "user_revoked" | "client_revoked" | "all_revoked" }>;

function raisedEpochOf(event: EpochEvent, entry: LogEntry): RaisedEpoch {
  const { cause, revocationId, epoch } = event;
  const except = event.type === "user_revoked" ? event.except : null;
  return { epoch: epoch ?? entry.version, except, cause, revocationId, replayed: epoch !== undefined };
}

function raiseEpoch<Key>(
  map: ExpiringMap<Key, RaisedEpoch>,
  key: Key,
  cut: RaisedEpoch,
  now: number,
): boolean {
  const known = map.get(key);
  const news = known === undefined || known.epoch < cut.epoch;
  if (news || (known.epoch === cut.epoch && cut.replayed)) map.set(key, cut, now);
  return news;
}

type UserChanged = Extract<LogEvent, { type: "user_changed" }>;

/** Returns the decision where it is the latest that is known. */
function recordDecision(
  records: ExpiringMap<string, RightsDecision>,
  { userId, change, rights }: UserChanged,
  entry: LogEntry,
  now: number,
): RightsDecision | undefined {
  const known = records.get(userId);
  const decision = decisionOf(change, rights, entry.version);
  if (decision === undefined || known?.rights === null) return undefined;
  if (decision.rights !== null && known !== undefined && known.version >= decision.version) return undefined;
  records.set(userId, decision, now);
  return decision;
}

function decisionOf(
  change: UserChanged["change"],
  decided: UserChanged["rights"],
  committed: number,
): RightsDecision | undefined {
  if (change === "removed") return { version: committed, rights: null };
  if (decided === undefined) return undefined;
  const { version = committed, isActive, localOnly, groupIds } = decided;
  return { version, rights: { isActive, localOnly, groupIds } };
}

function userChangedEvent(
  { userId, change }: UserChanged,
  decision: RightsDecision | undefined,
): RevocationEvent {
  const cut = { kind: "user_changed", userId, change } as const;
  const rights = decision?.rights;
  return rights === undefined || rights === null ? cut : { ...cut, rights };
}

/** Ids of credentials are given once: nothing comes after a removal. */
function recordLoginChange(
  logins: ExpiringMap<string, LoginChange>,
  { credentialId, userId, change, except, version }: Extract<LogEvent, { type: "login_changed" }>,
  entry: LogEntry,
  now: number,
): void {
  const known = logins.get(credentialId);
  const cut = { version: version ?? entry.version, userId, change, except };
  const isLater = known === undefined || (known.change !== "removed" && known.version < cut.version);
  if (isLater || (change === "removed" && known?.change !== "removed")) logins.set(credentialId, cut, now);
}

function ifEnds(principal: Principal, cut: RaisedEpoch | undefined): RaisedEpoch | undefined {
  return cut !== undefined && principal.epoch < cut.epoch && principal.sessionId !== cut.except
    ? cut
    : undefined;
}
