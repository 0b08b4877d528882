import type { LogEvent, Principal, RevocationCause } from "../model.ts";
import { readablePolicy } from "../permissions/group-record.ts";
import type { GroupState } from "../permissions/group-table.ts";
import type { LogEntry, LogPosition } from "../store.ts";
import { parseUserState } from "../users/user-state.ts";
import { ExpiringMap } from "./expiring-map.ts";
import type { SecurityEvent } from "./security-events.ts";
import type { Judgement, OwnerChange, RightsDecision } from "./view.ts";

/** A revoked session as it is remembered: enough to judge tokens, and to log the revocation again. */
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
   * A node logged it again after the log went back in time. A login between the rollback and then has a token with an
   * older epoch, and is not revoked by it. Only the store can tell them apart.
   */
  readonly replayed: boolean;
}

/** The last change of a login. */
export interface LoginChange {
  readonly version: number;
  readonly userId: string;
  readonly change: "removed" | "password";
  readonly except: string | null;
}

/** Recent revocations and decisions on rights, bounded by time and by number. */
export class RevocationCache {
  readonly seen: ExpiringMap<string, true>;
  readonly sessions: ExpiringMap<string, RevokedSession>;
  readonly users: ExpiringMap<string, RaisedEpoch>;
  readonly clients: ExpiringMap<string, RaisedEpoch>;
  /** One entry at most. */
  readonly everybody: ExpiringMap<typeof everybody, RaisedEpoch>;
  /** By user: when the record changed last, ms. */
  readonly userChangedAt: ExpiringMap<string, number>;
  /**
   * By user. An evicted decision is not logged again after a rollback; the user's record in the store still counts.
   */
  readonly rightsDecisions: ExpiringMap<string, RightsDecision>;
  /** By credential, as above. */
  readonly loginChanges: ExpiringMap<string, LoginChange>;
  /** One entry at most. */
  readonly owner: ExpiringMap<"owner", OwnerChange>;
  readonly #all: readonly ExpiringMap<string, unknown>[];

  constructor(ttlMs: number, capacity: number) {
    this.seen = new ExpiringMap(ttlMs, capacity);
    this.sessions = new ExpiringMap(ttlMs, capacity);
    this.users = new ExpiringMap(ttlMs, capacity);
    this.clients = new ExpiringMap(ttlMs, capacity);
    this.everybody = new ExpiringMap(ttlMs, 1);
    this.userChangedAt = new ExpiringMap(ttlMs, capacity);
    this.rightsDecisions = new ExpiringMap(ttlMs, capacity);
    this.loginChanges = new ExpiringMap(ttlMs, capacity);
    this.owner = new ExpiringMap(ttlMs, 1);
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
      this.owner,
    ];
  }

  get size(): number {
    return this.#all.reduce((sum, map) => sum + map.size, 0);
  }

  /** Tokens from before this time (ms) cannot be judged from memory: a revocation was evicted. */
  get evictedAt(): number {
    const { sessions, users, clients, userChangedAt } = this;
    return Math.max(...[sessions, users, clients, userChangedAt].map(({ evictedAt }) => evictedAt));
  }

  expire(now: number): void {
    for (const map of this.#all) map.expire(now);
  }

  /**
   * True the first time. The position alone does not identify an entry: after the log went back in time it may be
   * reused.
   */
  isNew(
    { position, event }: { readonly position: LogPosition; readonly event: LogEntry["event"] },
    now: number,
  ) {
    const key = `${position} ${typeof event.mac === "string" ? event.mac : ""}`;
    if (this.seen.get(key)) return false;
    this.seen.set(key, true, now);
    return true;
  }

  /** Applies an event. Returns what it revokes or changes, unless that was known already. */
  apply(event: LogEvent, entry: LogEntry, now: number): SecurityEvent | undefined {
    switch (event.type) {
      case "sessions_revoked": {
        const { userId, cause, revocationId } = event;
        const added = event.sessionIds.filter((id) => this.sessions.get(id) === undefined);
        for (const id of added) this.sessions.set(id, { userId, cause, revocationId }, now);
        return added.length === 0 ? undefined : { kind: "sessions", userId, sessionIds: added, cause };
      }
      case "user_revoked": {
        const { userId, except, cause } = event;
        const raised = raisedEpochOf(event, entry);
        if (!raiseEpoch(this.users, userId, raised, now)) return undefined;
        return { kind: "user", userId, epoch: raised.epoch, except, cause };
      }
      case "client_revoked": {
        const { clientId, cause } = event;
        const raised = raisedEpochOf(event, entry);
        if (!raiseEpoch(this.clients, clientId, raised, now)) return undefined;
        return { kind: "client", clientId, epoch: raised.epoch, cause };
      }
      case "all_revoked": {
        const raised = raisedEpochOf(event, entry);
        if (!raiseEpoch(this.everybody, everybody, raised, now)) return undefined;
        return { kind: "all", epoch: raised.epoch, cause: event.cause };
      }
      case "user_changed":
        // No token can be older than the user.
        if (event.change !== "added")
          this.userChangedAt.set(
            event.userId,
            Math.max(entry.at, this.userChangedAt.get(event.userId) ?? 0),
            now,
          );
        return userChangedEvent(event, recordDecision(this.rightsDecisions, event, entry, now));
      case "owner_changed": {
        const { userId, previousId, version = entry.version } = event;
        if (version <= (this.owner.get("owner")?.version ?? 0)) return undefined;
        this.owner.set("owner", { userId, version }, now);
        return { kind: "owner_changed", userId, previousId };
      }
      case "group_changed":
        return { kind: "group_changed", group: groupStateOf(event, entry) };
      case "resources_changed":
        return {
          kind: "resources_changed",
          states: event.states.map(({ kind, id, parent, version }) => ({
            kind,
            id,
            parent,
            version: version === 0 ? entry.version : version,
          })),
        };
      case "factor_demands_changed":
        return {
          kind: "factor_demands_changed",
          demands: { groups: event.groups, version: entry.version },
        };
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

  /** `unknownUntil`: a token that was issued before this time (ms) cannot be judged from memory. */
  judge(principal: Principal, unknownUntil: number): Judgement {
    const session = this.sessions.get(principal.sessionId);
    if (session !== undefined) return { state: "dead", cause: session.cause };
    const raised =
      ifRevoked(principal, this.users.get(principal.userId)) ??
      (principal.clientId === null
        ? undefined
        : ifRevoked(principal, this.clients.get(principal.clientId))) ??
      ifRevoked(principal, this.everybody.get(everybody));
    if (raised !== undefined)
      return raised.replayed ? { state: "unknown" } : { state: "dead", cause: raised.cause };
    // A token that is not local-only is newer than the decision, or comes from a node whose clock is ahead. The store
    // decides.
    const restricted =
      !principal.localOnly && this.rightsDecisions.get(principal.userId)?.rights?.localOnly === true;
    return restricted || principal.tokenIssuedAt <= unknownUntil ? { state: "unknown" } : { state: "live" };
  }
}

function groupStateOf(
  { groupId, name, policy, version }: Extract<LogEvent, { type: "group_changed" }>,
  entry: LogEntry,
): GroupState {
  const content = policy === null ? null : { name: name ?? "", policy: readablePolicy(policy) };
  return { id: groupId, version: version ?? entry.version, content };
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
  raised: RaisedEpoch,
  now: number,
): boolean {
  const known = map.get(key);
  const isNew = known === undefined || known.epoch < raised.epoch;
  if (isNew || (known.epoch === raised.epoch && raised.replayed)) map.set(key, raised, now);
  return isNew;
}

type UserChanged = Extract<LogEvent, { type: "user_changed" }>;

/** Returns the decision if it is the latest one that is known. */
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
  const { version = committed, localOnly, groupIds } = decided;
  return { version, rights: { state: parseUserState(decided), localOnly, groupIds } };
}

function userChangedEvent(
  { userId, change, keepsRights }: UserChanged,
  decision: RightsDecision | undefined,
): SecurityEvent {
  const kept = keepsRights === undefined ? {} : { keepsRights };
  const changed = { kind: "user_changed", userId, change, ...kept } as const;
  const rights = decision?.rights;
  return rights === undefined || rights === null ? changed : { ...changed, rights };
}

/** Ids of credentials are never reused, so nothing can follow a removal. */
function recordLoginChange(
  logins: ExpiringMap<string, LoginChange>,
  { credentialId, userId, change, except, version }: Extract<LogEvent, { type: "login_changed" }>,
  entry: LogEntry,
  now: number,
): void {
  const known = logins.get(credentialId);
  const next = { version: version ?? entry.version, userId, change, except };
  const isLater = known === undefined || (known.change !== "removed" && known.version < next.version);
  if (isLater || (change === "removed" && known?.change !== "removed")) logins.set(credentialId, next, now);
}

function ifRevoked(principal: Principal, raised: RaisedEpoch | undefined): RaisedEpoch | undefined {
  return raised !== undefined && principal.epoch < raised.epoch && principal.sessionId !== raised.except
    ? raised
    : undefined;
}
