import { setImmediate as nextTurn } from "node:timers/promises";
import type { ConnectionInfo } from "../../protocol/commands/presence.ts";
import { AuthError } from "../auth/errors.ts";
import type { SocketSession } from "../connection/session.ts";
import type { Presence } from "./presence.ts";
import type { LiveConnection, PresenceChanges } from "./presence-directory.ts";
import { PresenceSubscription } from "./presence-subscription.ts";

/** Whose connections somebody sees at a moment. */
export interface Seen {
  /** The only user whose connections they see. Undefined: not limited to one user. */
  readonly userId: string | undefined;
  readonly visible: (connection: LiveConnection) => boolean;
}

export interface PresenceFanOutOptions {
  readonly presence: Pick<Presence, "watch" | "idOf">;
  /** What the viewer may see now of this user, or of everybody. Rejects if it is nothing, or is not known. */
  readonly seenBy: (viewerId: string, userId: string | undefined) => Promise<Seen>;
}

/** Subscriptions of one viewer for the same connections. What they may see is asked once for all of them. */
interface Group {
  readonly viewerId: string;
  readonly userId: string | undefined;
  readonly members: Set<PresenceSubscription>;
}

/** Subscriptions of one socket. */
const mostOfSocket = 4;
/** Changes that wait, before everybody is told to list again. */
const mostWaiting = 64;
/** How long this works before other work of the event loop gets a turn, ms. */
const turnMs = 4;

/** The subscriptions of this node to the changes of presence. One watch of the list is for all of them. */
export class PresenceFanOut {
  readonly #options: PresenceFanOutOptions;
  readonly #groups = new Map<string, Group>();
  readonly #counts = new WeakMap<SocketSession, number>();
  /** Undefined: changes were missed. */
  #waiting: (PresenceChanges | undefined)[] = [];
  #isTelling = false;
  #endWatch: (() => void) | undefined;
  /** From now on no change is missed. */
  #hasBegun = false;

  constructor(options: PresenceFanOutOptions) {
    this.#options = options;
  }

  /** Returns what ends it. Throws `not_allowed` if the socket has as many as it may. */
  add(session: SocketSession, id: number, userId: string | undefined): () => void {
    const count = this.#counts.get(session) ?? 0;
    if (count >= mostOfSocket)
      throw new AuthError("not_allowed", {
        publicMessage: `A socket has at most ${mostOfSocket} subscriptions to presence.`,
      });
    this.#counts.set(session, count + 1);
    const subscription = new PresenceSubscription(session, id, this.#options.presence.idOf(session));
    const group = this.#groupOf(session.principal.userId, userId);
    group.members.add(subscription);
    this.#endWatch ??= this.#watch();
    // After the answer.
    if (this.#hasBegun) setImmediate(() => subscription.sendResync());
    return () => {
      subscription.end();
      this.#counts.set(session, (this.#counts.get(session) ?? 1) - 1);
      this.#remove(group, subscription);
    };
  }

  #groupOf(viewerId: string, userId: string | undefined): Group {
    const key = keyOf({ viewerId, userId });
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { viewerId, userId, members: new Set() };
      this.#groups.set(key, group);
    }
    return group;
  }

  #remove(group: Group, subscription: PresenceSubscription): void {
    group.members.delete(subscription);
    if (group.members.size === 0) this.#groups.delete(keyOf(group));
    if (this.#groups.size > 0) return;
    this.#endWatch?.();
    this.#endWatch = undefined;
    this.#hasBegun = false;
  }

  #watch(): () => void {
    return this.#options.presence.watch({
      onChanges: (changes) => this.#next(changes),
      onGap: () => {
        this.#hasBegun = true;
        this.#next(undefined);
      },
    });
  }

  #next(changes: PresenceChanges | undefined): void {
    if (this.#waiting.length >= mostWaiting) this.#waiting = [undefined];
    else this.#waiting.push(changes);
    if (this.#isTelling) return;
    this.#isTelling = true;
    void this.#tellAll();
  }

  /** One after the other, so that the order is kept. Never rejects. */
  async #tellAll(): Promise<void> {
    let turnEnds = performance.now() + turnMs;
    while (this.#waiting.length > 0) {
      const changes = this.#waiting.shift();
      for (const group of [...this.#groups.values()]) {
        await this.#tell(group, changes);
        if (performance.now() < turnEnds) continue;
        await nextTurn();
        turnEnds = performance.now() + turnMs;
      }
    }
    this.#isTelling = false;
  }

  async #tell({ viewerId, userId, members }: Group, changes: PresenceChanges | undefined): Promise<void> {
    let seen: Seen;
    try {
      seen = await this.#options.seenBy(viewerId, userId);
    } catch {
      // The store is away, or they may not see it any more. They are told to list again when they may.
      for (const member of members) member.markMissed();
      return;
    }
    if (changes === undefined) {
      for (const member of members) member.sendResync();
      return;
    }
    const [joined, left] = [infosOf(changes.joined, seen), infosOf(changes.left, seen)];
    for (const member of members) member.sendChanges(joined, left);
  }
}

function keyOf({ viewerId, userId }: Pick<Group, "viewerId" | "userId">): string {
  return `${viewerId} ${userId ?? ""}`;
}

function infosOf(
  connections: readonly LiveConnection[],
  { userId, visible }: Seen,
): readonly ConnectionInfo[] {
  return connections
    .filter((each) => (userId === undefined || each.userId === userId) && visible(each))
    .map((each) => connectionInfo(each, false));
}

export function connectionInfo(connection: LiveConnection, isCurrent: boolean): ConnectionInfo {
  return {
    connection_id: connection.id,
    user_id: connection.userId,
    session_id: connection.sessionId,
    client_id: connection.clientId,
    node: connection.node,
    address: connection.address,
    since: new Date(connection.since).toISOString(),
    is_current: isCurrent,
  };
}
