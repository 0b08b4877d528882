import { type Static, Type } from "typebox";

import { command, ShortKey } from "./define.ts";

const EventKey = Type.String({ pattern: "^[\\s\\S]{1,256}$" });

/** What caused an event. */
export const EventContext = Type.Object({
  id: Type.String(),
  parent_id: Type.Null(),
  user_id: Type.Union([Type.String(), Type.Null()]),
});
export type EventContext = Static<typeof EventContext>;

export const systemCommands = {
  /** Answered with `{"id", "type": "pong"}`, not with a result. */
  ping: command("ping", "user", {}, Type.Null(), null),
  /** By convention id 1, the first message after `auth_ok`. */
  supported_features: command(
    "supported_features",
    "user",
    { features: Type.Record(ShortKey, Type.Integer(), { additionalProperties: false }) },
    Type.Null(),
    null,
  ),
  /**
   * Events that reach this user: those that administrators fire, and for administrators the gateway's own. Everybody
   * may name Home Assistant's open types. For a user who is not an administrator any other type, and all types at once,
   * is `unauthorized`.
   */
  subscribe_events: command(
    "subscribe_events",
    "user",
    { event_type: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })) },
    Type.Null(),
  ),
  /** Home Assistant's: an event for everybody who subscribed to its type and may see it. For administrators. */
  fire_event: command(
    "fire_event",
    "admin",
    {
      event_type: Type.String({ minLength: 1, maxLength: 64 }),
      event_data: Type.Optional(Type.Record(EventKey, Type.Unknown(), { additionalProperties: false })),
    },
    Type.Object({ context: EventContext }),
  ),
  unsubscribe_events: command(
    "unsubscribe_events",
    "user",
    {
      subscription: Type.Integer({
        minimum: 1,
        maximum: Number.MAX_SAFE_INTEGER,
        description: "The `id` of the message that asked for the events.",
      }),
    },
    Type.Null(),
    null,
  ),
} as const;
