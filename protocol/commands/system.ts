import { Type } from "typebox";

import { command, ShortKey } from "./define.ts";

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
   * Events that reach this user. Gatehouse fires three of Home Assistant's events for administrators: `user_added`,
   * `user_updated` and `user_removed`, with `{user_id}`. Anybody may name Home Assistant's other open types, which stay
   * silent. For a user who is not an administrator any other type, and all types at once, is `unauthorized`.
   */
  subscribe_events: command(
    "subscribe_events",
    "user",
    { event_type: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })) },
    Type.Null(),
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
