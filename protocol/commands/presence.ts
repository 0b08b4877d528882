import { type Static, Type } from "typebox";

import { command, OpaqueId, PageFields } from "./define.ts";

const ClientId = Type.String({ minLength: 1, maxLength: 2048 });
const ConnectionId = Type.String({ minLength: 1, maxLength: 64 });

/** One authenticated connection of the installation. */
export const ConnectionInfo = Type.Object({
  connection_id: ConnectionId,
  user_id: OpaqueId,
  /** The login of one device, as in `auth/refresh_tokens`. */
  session_id: OpaqueId,
  client_id: Type.Union([Type.String(), Type.Null()]),
  /** The node that serves it. A node has another id after every start. */
  node: OpaqueId,
  /** IP address of the peer; null: not known. */
  address: Type.Union([Type.String(), Type.Null()]),
  /** When it was authenticated, ISO 8601 in UTC. */
  since: Type.String(),
  is_current: Type.Boolean({ description: "Whether it is the connection that asks." }),
});
export type ConnectionInfo = Static<typeof ConnectionInfo>;

/** What a subscriber is told: what came and went, or that changes may have been missed, so list again. */
export const PresenceEvent = Type.Union([
  Type.Object({ joined: Type.Array(ConnectionInfo), left: Type.Array(ConnectionInfo) }),
  Type.Object({ resync: Type.Literal(true) }),
]);
export type PresenceEvent = Static<typeof PresenceEvent>;

const UserId = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 64,
    pattern: "^[A-Za-z0-9_-]+$",
    description: "Default: for administrators everybody, for others oneself.",
  }),
);

export const presenceCommands = {
  "gatehouse/presence/list": command(
    "gatehouse/presence/list",
    "user",
    {
      user_id: UserId,
      session_id: Type.Optional(OpaqueId),
      client_id: Type.Optional(ClientId),
      node: Type.Optional(OpaqueId),
      address: Type.Optional(Type.String({ minLength: 2, maxLength: 45 })),
      ...PageFields,
      cursor: Type.Optional(ConnectionId),
    },
    Type.Object({ connections: Type.Array(ConnectionInfo), cursor: Type.Union([ConnectionId, Type.Null()]) }),
  ),
  "gatehouse/presence/subscribe": command(
    "gatehouse/presence/subscribe",
    "user",
    { user_id: UserId },
    Type.Null(),
  ),
} as const;
