import { pageLimits } from "../../protocol/commands/define.ts";
import { AuthError } from "../auth/errors.ts";
import { isAdmin } from "../auth/users/users.ts";
import type { Command } from "../connection/command.ts";
import { connectionInfo, PresenceFanOut, type Seen } from "../presence/presence-fan-out.ts";
import { requireRoomForSubscription } from "./events.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";

/**
 * Who is connected. Everybody sees their own connections. Administrators see all of them, except the owner's. Those only the
 * owner sees, as with sessions.
 */
export function presenceCommands(parts: CommandParts): readonly Command[] {
  const { authority, presence } = parts;
  const fanOut = new PresenceFanOut({
    presence,
    seenBy: (viewerId, userId) => seenBy(authority, viewerId, userId),
  });
  return [
    defineCommand("gatehouse/presence/list", authority, async (message, session) => {
      const asked = await seenBy(authority, session.principal.userId, message.user_id);
      const { session_id, client_id, node, address, cursor, limit = pageLimits.default } = message;
      const query = { userId: asked.userId, sessionId: session_id, clientId: client_id, node, address };
      const page = await presence.page(query, { after: cursor, limit });
      return {
        connections: page.connections
          .filter(asked.visible)
          .map((each) => connectionInfo(each, each.id === presence.idOf(session))),
        cursor: page.next ?? null,
      };
    }),
    defineCommand("gatehouse/presence/subscribe", authority, async ({ id, user_id }, session) => {
      await seenBy(authority, session.principal.userId, user_id);
      requireRoomForSubscription(session);
      session.disposables.add(id, fanOut.add(session, id, user_id));
      return null;
    }),
  ];
}

/** Throws `unauthorized` if the viewer may see none of this user. */
async function seenBy(
  { users, ownership }: Pick<CommandParts["authority"], "users" | "ownership">,
  viewerId: string,
  userId: string | undefined,
): Promise<Seen> {
  const viewer = await users.current(viewerId);
  if (viewer === undefined || !isAdmin(viewer)) {
    if (userId !== undefined && userId !== viewerId) throw new AuthError("unauthorized");
    return { userId: viewerId, visible: (each) => each.userId === viewerId };
  }
  const hidden = viewer.isOwner ? undefined : await ownership.owner();
  if (userId !== undefined && userId === hidden) throw new AuthError("unauthorized");
  return {
    userId,
    visible: (each) => each.userId !== hidden && (userId === undefined || each.userId === userId),
  };
}
