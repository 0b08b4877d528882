import type { EventContext } from "../../protocol/commands/system.ts";
import type { Permissions } from "../auth/permissions/permissions.ts";
import type { JsonObject } from "../auth/store.ts";
import type { Message } from "./broker.ts";

/*
 * Home Assistant's events travel as messages of a namespace that no client can name. One segment follows it: the event
 * type, encoded so that it has no separator and no wildcard.
 */
export const eventNamespace = "$events";

/** Event types that Home Assistant lets every user subscribe to. */
export const openEvents: ReadonlySet<string> = new Set([
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

/** `LOCAL`: fired on a socket. `REMOTE`: fired over HTTP. */
export type EventOrigin = "LOCAL" | "REMOTE";

/** An event as Home Assistant's clients get it. */
export interface ShownEvent {
  readonly event_type: string;
  readonly data: JsonObject;
  readonly origin: EventOrigin;
  readonly time_fired: string;
  readonly context: EventContext;
}

/** The content of an event's message. */
export interface EventContent {
  readonly type: string;
  readonly data: JsonObject;
  readonly origin: EventOrigin;
  readonly contextId: string;
}

export function eventTopic(type: string): string {
  return `${eventNamespace}/${encodeURIComponent(type)}`;
}

/** Undefined: all types. */
export function eventPattern(type: string | undefined): string {
  return type === undefined ? `${eventNamespace}/+` : eventTopic(type);
}

export function isEvent({ topic }: Pick<Message, "topic">): boolean {
  return topic.startsWith(`${eventNamespace}/`);
}

/** Undefined: all types. Who may decide on approvals hears of those who wait, whatever else they may do. */
export function maySubscribeToEvents(permissions: Permissions, type: string | undefined): boolean {
  if (permissions.isAdmin) return true;
  if (type === "approval_requested") return permissions.mayCommand("gatehouse/approvals/list");
  return type !== undefined && openEvents.has(type);
}

/** As in Home Assistant: `state_changed` is judged by its entity, each time. */
export function mayReceiveEvent(permissions: Permissions, message: Message): boolean {
  if (permissions.isAdmin) return true;
  const { type, data } = contentOf(message);
  if (!openEvents.has(type)) return false;
  if (type !== "state_changed") return true;
  return typeof data.entity_id === "string" && permissions.mayUseEntity(data.entity_id, "read");
}

export function shownEvent(message: Message): ShownEvent {
  const { type, data, origin, contextId } = contentOf(message);
  return {
    event_type: type,
    data,
    origin,
    time_fired: new Date(message.time).toISOString(),
    context: { id: contextId, parent_id: null, user_id: message.publisher.userId },
  };
}

/** Only the gateway publishes in this namespace, so the content has this shape. */
function contentOf({ data }: Message): EventContent {
  return data as unknown as EventContent;
}
