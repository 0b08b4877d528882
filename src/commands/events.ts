import { AuthError } from "../auth/errors.ts";
import { isAdmin } from "../auth/users/users.ts";
import type { Command } from "../connection/command.ts";
import type { Session } from "../connection/session.ts";
import { defineCommand } from "./guarded-command.ts";
import type { CommandParts } from "./registry.ts";

/** The events that Home Assistant lets every user subscribe to. Gatehouse fires none of them. */
const openEvents: ReadonlySet<string> = new Set([
  "area_registry_updated",
  "category_registry_updated",
  "component_loaded",
  "core_config_updated",
  "device_registry_updated",
  "entity_registry_updated",
  "floor_registry_updated",
  "label_registry_updated",
  "lovelace_updated",
  "panels_updated",
  "recorder_5min_statistics_generated",
  "recorder_hourly_statistics_generated",
  "repairs_issue_registry_updated",
  "service_registered",
  "service_removed",
  "shopping_list_updated",
  "state_changed",
  "themes_updated",
]);

/** Subscriptions of one socket at once. */
const subscriptionLimit = 256;

export function eventCommands({ authority: { users } }: CommandParts): readonly Command[] {
  return [
    defineCommand("subscribe_events", users, async ({ id, event_type }, session) => {
      const type = event_type === "*" ? undefined : event_type;
      if (type === undefined || !openEvents.has(type)) {
        const user = await users.current(session.principal.userId);
        if (user === undefined || !isAdmin(user)) throw new AuthError("unauthorized");
      }
      requireRoomForSubscription(session);
      session.watchUsers(id, type);
      return null;
    }),
    defineCommand("unsubscribe_events", users, ({ subscription }, session) => {
      if (!session.disposables.dispose(subscription))
        throw new AuthError("not_found", { publicMessage: "Subscription not found." });
      return null;
    }),
  ];
}

/** Throws `not_allowed` if the socket has as many subscriptions as it may. */
export function requireRoomForSubscription({ disposables }: Session): void {
  if (disposables.size >= subscriptionLimit)
    throw new AuthError("not_allowed", { publicMessage: "Too many subscriptions." });
}
