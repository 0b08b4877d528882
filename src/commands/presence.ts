import { setTimeout as pause } from "node:timers/promises";
import { pageLimits } from "../../protocol/commands/define.ts";
import type { ConnectionInfo, PresenceEvent } from "../../protocol/commands/presence.ts";
import { AuthError } from "../auth/errors.ts";
import { isAdmin } from "../auth/users/users.ts";
import type { Command } from "../connection/command.ts";
import type { Session } from "../connection/session.ts";
import type { Presence } from "../presence/presence.ts";
import type { LiveConnection, PresenceChanges } from "../presence/presence-directory.ts";
import { requireRoomForSubscription } from "./events.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";

/** Whose connections a caller may see. */
type Visible = (connection: LiveConnection) => boolean;

/**
 * Who is connected. Everybody sees their own connections, administrators see everybody's, but for the owner's: those only
 * the owner sees, as the owner's sessions.
 */
export function presenceCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  return [
    defineCommand("gatehouse/presence/list", authority, async (message, session) => {
      const asked = await seenBy(parts, session, message.user_id);
      const { session_id, client_id, node, address, cursor, limit = pageLimits.default } = message;
      const query = { userId: asked.userId, sessionId: session_id, clientId: client_id, node, address };
      const page = await parts.presence.page(query, { after: cursor, limit });
      return {
        connections: page.connections
          .filter(asked.visible)
          .map((each) => infoOf(each, each.id === parts.presence.idOf(session))),
        cursor: page.next ?? null,
      };
    }),
    defineCommand("gatehouse/presence/subscribe", authority, async ({ id, user_id }, session) => {
      await seenBy(parts, session, user_id);
      requireRoomForSubscription(session);
      const told = new PresenceSubscription(id, session, {
        seen: () => seenBy(parts, session, user_id),
        ownId: parts.presence.idOf(session),
      });
      session.disposables.add(id, followPresence(parts.presence, told));
      return null;
    }),
  ];
}

/** Throws `unauthorized` if the sender may see none of this user. */
async function seenBy(
  { authority: { users, ownership } }: CommandParts,
  { principal }: Session,
  userId: string | undefined,
): Promise<{ readonly userId: string | undefined; readonly visible: Visible }> {
  const user = await users.current(principal.userId);
  const seesOthers = user !== undefined && isAdmin(user);
  if (!seesOthers) {
    if (userId !== undefined && userId !== principal.userId) throw new AuthError("unauthorized");
    return { userId: principal.userId, visible: (each) => each.userId === principal.userId };
  }
  const owner = await ownership.owner();
  const hidden = owner === principal.userId ? undefined : owner;
  if (userId !== undefined && userId === hidden) throw new AuthError("unauthorized");
  return {
    userId,
    visible: (each) => each.userId !== hidden && (userId === undefined || each.userId === userId),
  };
}

function followPresence(presence: Presence, told: PresenceSubscription): () => void {
  const end = presence.watch({
    onChanges: (changes) => told.changed(changes),
    onGap: () => told.missed(),
  });
  return () => {
    told.end();
    end();
  };
}

interface SubscriptionOptions {
  readonly seen: () => Promise<{ readonly visible: Visible }>;
  /** The id of the subscriber's own connection. */
  readonly ownId: string;
}

/**
 * What one subscriber is told. Whether they may still see it is asked for every event. Changes that come while the client
 * does not read, or while the socket is suspended, are not kept: the client is told to list again.
 */
class PresenceSubscription {
  readonly #session: Session;
  readonly #id: number;
  readonly #options: SubscriptionOptions;
  #tail = Promise.resolve();
  #waiting = 0;
  #hasMissed = false;
  #isOver = false;

  constructor(id: number, session: Session, options: SubscriptionOptions) {
    this.#id = id;
    this.#session = session;
    this.#options = options;
  }

  changed(changes: PresenceChanges): void {
    if (this.#waiting >= mostWaiting) this.#hasMissed = true;
    else this.#next(changes);
  }

  missed(): void {
    this.#hasMissed = true;
    this.#next(undefined);
  }

  end(): void {
    this.#isOver = true;
  }

  /** One after the other, so that the order is kept. */
  #next(changes: PresenceChanges | undefined): void {
    this.#waiting += 1;
    this.#tail = this.#tail
      .then(() => this.#tell(changes))
      // The store is away, or the user may not see it any more.
      .catch(() => {
        this.#hasMissed = true;
      })
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  async #tell(changes: PresenceChanges | undefined): Promise<void> {
    const { visible } = await this.#options.seen();
    if (this.#isOver) return;
    if (!this.#session.mayRun || !this.#session.hasRoom) {
      this.#hasMissed = true;
      await this.#untilReading();
      if (this.#isOver) return;
    }
    if (this.#hasMissed) {
      this.#hasMissed = false;
      this.#send({ resync: true });
      return;
    }
    const of = (connections: readonly LiveConnection[]) =>
      connections.filter(visible).map((each) => infoOf(each, each.id === this.#options.ownId));
    const [joined, left] = [of(changes?.joined ?? []), of(changes?.left ?? [])];
    if (joined.length > 0 || left.length > 0) this.#send({ joined, left });
  }

  async #untilReading(): Promise<void> {
    while (!this.#isOver && !(this.#session.mayRun && this.#session.hasRoom)) {
      await this.#session.untilRoom();
      if (!this.#session.mayRun) await pause(lookAgainMs, undefined, { ref: false });
    }
  }

  #send(event: PresenceEvent): void {
    this.#session.send({ id: this.#id, type: "event", event });
  }
}

/** How often a suspended socket is looked at, ms. */
const lookAgainMs = 500;
/** Events that wait for one subscriber, before it is told to list again. */
const mostWaiting = 64;

function infoOf(connection: LiveConnection, isCurrent: boolean): ConnectionInfo {
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
