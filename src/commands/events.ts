import { AuthError } from "../auth/errors.ts";
import type { JsonObject } from "../auth/store.ts";
import type { Command } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";
import { requireApprover } from "./who-may-decide.ts";

/** Subscriptions of one socket at once. */
const subscriptionLimit = 256;

export function eventCommands({ authority, topics }: CommandParts): readonly Command[] {
  return [
    defineCommand("subscribe_events", authority, async ({ id, event_type }, session) => {
      const type = event_type === "*" ? undefined : event_type;
      // Its data are the entries of the list, so whoever may not have the list may not ask for it either.
      if (type === "approval_requested")
        await requireApprover(authority, session, "gatehouse/approvals/list");
      await inRoomForSubscription(session, id, () =>
        topics.subscribeEvents(session, id, type, () => session.watchUsers(id, type)),
      );
      return null;
    }),
    defineCommand("fire_event", authority, async ({ event_type, event_data = {} }, session) => {
      // A message that was decoded holds nothing but plain data.
      const event = { type: event_type, data: event_data as JsonObject, origin: "LOCAL" } as const;
      return { context: await topics.fireEvent(session, event) };
    }),
    defineCommand("unsubscribe_events", authority, ({ subscription }, session) => {
      if (!session.disposables.dispose(subscription))
        throw new AuthError("not_found", { publicMessage: "Subscription not found." });
      return null;
    }),
  ];
}

/** For a subscription that `begin` makes later: until then its place is taken. Rejects as `requireRoomForSubscription`. */
export async function inRoomForSubscription<Result>(
  session: SocketSession,
  id: number,
  begin: () => Promise<Result>,
): Promise<Result> {
  requireRoomForSubscription(session);
  const { disposables } = session;
  disposables.reserve(id);
  try {
    return await begin();
  } finally {
    disposables.release(id);
  }
}

/** Throws `not_allowed` if the socket has as many subscriptions as it may. */
export function requireRoomForSubscription({ disposables }: SocketSession): void {
  if (disposables.size >= subscriptionLimit)
    throw new AuthError("not_allowed", { publicMessage: "Too many subscriptions." });
}
