import type { CloseName } from "../../protocol/close-codes.ts";
import type { Peer, Principal, Rights } from "../auth/model.ts";
import { closeNameOf } from "../auth/revocation/cause.ts";
import type { SecurityEvent } from "../auth/revocation/security-events.ts";
import { closeReason, mayConnectFrom } from "../auth/users/account-status.ts";
import type { Users } from "../auth/users/users.ts";
import { KeyIndex } from "./key-index.ts";
import { NumberedList } from "./numbered-list.ts";
import type { ConnectionLog } from "./observer.ts";
import { Timer, type TimerOwner, type TimerWheel } from "./timer-wheel.ts";

/** An authenticated connection as the hub sees it. `userId` and `sessionId` of its principal never change. */
export interface HubMember {
  readonly principal: Principal;
  readonly peer: Peer;
  /** Rises with every authenticated connection of this node. */
  readonly number: number;
  /** When it was authenticated, ms since the epoch. */
  readonly since: number;
  /** Closes the socket at once and drops what waits to be sent. False if it was closing already. */
  cut(close: CloseName): boolean;
  /** The session's expiry was changed: read it again. */
  endChanged(): void;
}

/** This node's authenticated connections, by session and by user. */
export interface Hub {
  /**
   * From now on a revocation reaches the member. Call it once, before the last revocation check, in the order of numbers.
   */
  add(member: HubMember): void;
  /** Does nothing if it is not here. */
  remove(member: HubMember): void;
  /** A copy, in the order of numbers. */
  members(): readonly HubMember[];
  /**
   * All of them, or one user's, from the first for which `isPast` holds; it has to hold for all that follow one for which it
   * holds. Finding it takes a binary search. Members must not come or go meanwhile.
   */
  from(isPast: (member: HubMember) => boolean, userId?: string): Iterable<HubMember>;
  /** Whether this member exceeds what its session or its user may have here. Call it after `add`. */
  isCrowded(member: HubMember): boolean;
  /**
   * Applies a revocation synchronously and returns how many sockets it closed. Register it with
   * `revocation.onSecurityEvent`. An event of an older node may only say that a user changed. That user is read again in
   * the background, and what follows from that is not in the number.
   */
  apply(cut: SecurityEvent): number;
  readonly sockets: number;
  readonly sessions: number;
  readonly users: number;
}

const rereadAgainMs = 1000;

/** Bounds of sockets on this node. */
export interface HubLimits {
  readonly socketsPerSession: number;
  readonly socketsPerUser: number;
}

export function createHub(options: {
  readonly users: Pick<Users, "read">;
  readonly limits: HubLimits;
  readonly wheel: TimerWheel;
  readonly log: ConnectionLog;
  /** Called with every event, before its sockets are closed. */
  readonly onEvent: (event: SecurityEvent) => void;
}): Hub {
  return new IndexedHub(options);
}

class IndexedHub implements Hub {
  readonly #options: Parameters<typeof createHub>[0];
  readonly #members = new NumberedList<HubMember>();
  readonly #bySession = new KeyIndex<HubMember>();
  readonly #byUser = new KeyIndex<HubMember>();
  readonly #rereads = new Map<string, UserReread>();

  constructor(options: Parameters<typeof createHub>[0]) {
    this.#options = options;
  }

  get sockets(): number {
    return this.#members.size;
  }

  get sessions(): number {
    return this.#bySession.keys;
  }

  get users(): number {
    return this.#byUser.keys;
  }

  add(member: HubMember): void {
    this.#members.add(member);
    this.#bySession.add(member.principal.sessionId, member);
    this.#byUser.add(member.principal.userId, member);
  }

  remove(member: HubMember): void {
    if (!this.#members.remove(member)) return;
    this.#bySession.remove(member.principal.sessionId, member);
    this.#byUser.remove(member.principal.userId, member);
  }

  members(): readonly HubMember[] {
    return this.#members.all();
  }

  from(isPast: (member: HubMember) => boolean, userId?: string): Iterable<HubMember> {
    const members = userId === undefined ? this.#members : this.#byUser.get(userId);
    return members?.from(isPast) ?? [];
  }

  isCrowded({ principal }: HubMember): boolean {
    const { socketsPerSession, socketsPerUser } = this.#options.limits;
    return (
      this.#bySession.size(principal.sessionId) > socketsPerSession ||
      this.#byUser.size(principal.userId) > socketsPerUser
    );
  }

  apply(cut: SecurityEvent): number {
    this.#options.onEvent(cut);
    switch (cut.kind) {
      case "sessions":
        return cutAll(
          cut.sessionIds.flatMap((id) => this.#bySession.of(id)),
          closeNameOf(cut.cause),
        );
      case "user":
        return cutAll(this.#endedBy(cut), closeNameOf(cut.cause));
      case "client":
      case "all":
        return cutAll(this.#olderThan(cut), closeNameOf(cut.cause));
      case "user_changed":
        // A deactivation revokes by epochs. Whoever logged in after the user was activated again stays connected.
        if (cut.rights !== undefined) return cut.rights.localOnly ? this.#cutRemote(cut.userId) : 0;
        if (cut.change === "updated") this.#reread(cut.userId);
        return 0;
      case "session_changed":
        for (const member of this.#bySession.of(cut.sessionId)) member.endChanged();
        return 0;
      case "keys":
        return cutAll(this.#signedBy(new Set(cut.keyIds)), "token_expired");
      case "owner_changed":
      case "group_changed":
      case "factor_demands_changed":
      case "resources_changed":
      case "audited":
        return 0;
    }
  }

  #endedBy(cut: Extract<SecurityEvent, { kind: "user" }>): readonly HubMember[] {
    return this.#byUser
      .of(cut.userId)
      .filter(({ principal }) => principal.epoch < cut.epoch && principal.sessionId !== cut.except);
  }

  /** Looks at every socket of this node. Rare enough to need no index. */
  #olderThan(cut: Extract<SecurityEvent, { kind: "client" | "all" }>): readonly HubMember[] {
    return this.members().filter(
      ({ principal }) =>
        principal.epoch < cut.epoch && (cut.kind === "all" || principal.clientId === cut.clientId),
    );
  }

  #signedBy(keyIds: ReadonlySet<string>): readonly HubMember[] {
    return this.members().filter(({ principal }) => keyIds.has(principal.keyId));
  }

  /** A read that is under way may have seen the state before the change. So another read follows it. */
  #reread(userId: string): void {
    const running = this.#rereads.get(userId);
    if (running !== undefined) {
      running.again = true;
      return;
    }
    if (!this.#byUser.has(userId)) return;
    const reread = new UserReread((finished) => this.#read(userId, finished));
    this.#rereads.set(userId, reread);
    this.#read(userId, reread);
  }

  #read(userId: string, reread: UserReread): void {
    if (!this.#byUser.has(userId)) {
      this.#rereads.delete(userId);
      return;
    }
    reread.again = false;
    this.#options.users
      .read(userId)
      .then((found) => {
        if (found !== undefined) this.#review(userId, found.user);
        if (reread.again) this.#read(userId, reread);
        else this.#rereads.delete(userId);
      })
      // Also if a socket could not be closed: then its rights are looked at again.
      .catch((error: unknown) => {
        this.#options.log.warn(
          { err: error, user_id: userId },
          "changed user could not be read, trying again",
        );
        this.#options.wheel.set(reread.timer, rereadAgainMs);
      });
  }

  #review(userId: string, rights: Rights): void {
    for (const member of this.#byUser.of(userId)) {
      const close = closeReason(rights, member.peer);
      if (close !== undefined) member.cut(close);
    }
  }

  #cutRemote(userId: string): number {
    const members = this.#byUser.of(userId);
    return cutAll(
      members.filter(({ peer }) => !mayConnectFrom({ localOnly: true }, peer)),
      "address_not_allowed",
    );
  }
}

class UserReread implements TimerOwner {
  readonly timer = new Timer(this);
  readonly #retry: (reread: UserReread) => void;
  again = false;

  constructor(retry: (reread: UserReread) => void) {
    this.#retry = retry;
  }

  due(): void {
    this.#retry(this);
  }
}

function cutAll(members: readonly HubMember[], close: CloseName): number {
  let closed = 0;
  for (const member of members) if (member.cut(close)) closed += 1;
  return closed;
}
