import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

import type { LogEvent } from "../model.ts";
import type { JsonObject } from "../store.ts";
import { UserStateSchema } from "../users/user-state.ts";
import { Cause, withKnownCause } from "./cause.ts";

const KnownEventSchema = Type.Union([
  Type.Object({
    type: Type.Literal("sessions_revoked"),
    userId: Type.String(),
    sessionIds: Type.Array(Type.String()),
    cause: Cause,
    revocationId: Type.String(),
  }),
  Type.Object({
    type: Type.Literal("user_revoked"),
    userId: Type.String(),
    cause: Cause,
    revocationId: Type.String(),
    except: Type.Union([Type.String(), Type.Null()]),
    epoch: Type.Optional(Type.Number()),
  }),
  Type.Object({
    type: Type.Literal("client_revoked"),
    clientId: Type.String(),
    cause: Cause,
    revocationId: Type.String(),
    epoch: Type.Optional(Type.Number()),
  }),
  Type.Object({
    type: Type.Literal("all_revoked"),
    cause: Cause,
    revocationId: Type.String(),
    epoch: Type.Optional(Type.Number()),
  }),
  Type.Object({
    type: Type.Literal("user_changed"),
    userId: Type.String(),
    change: Type.Union([Type.Literal("added"), Type.Literal("updated"), Type.Literal("removed")]),
    rights: Type.Optional(
      Type.Object({
        isActive: Type.Boolean(),
        state: Type.Optional(UserStateSchema),
        localOnly: Type.Boolean(),
        groupIds: Type.Array(Type.String()),
        version: Type.Optional(Type.Number()),
      }),
    ),
    keepsRights: Type.Optional(Type.Literal(true)),
    revocationId: Type.Optional(Type.String()),
  }),
  Type.Object({
    type: Type.Literal("group_changed"),
    groupId: Type.String(),
    name: Type.Union([Type.String(), Type.Null()]),
    // Its form is checked where it is used: a newer node may have written more.
    policy: Type.Union([Type.Unsafe<JsonObject>(Type.Object({})), Type.Null()]),
    version: Type.Optional(Type.Number()),
    revocationId: Type.Optional(Type.String()),
  }),
  Type.Object({
    type: Type.Literal("resources_changed"),
    states: Type.Array(
      Type.Object({
        kind: Type.Union([Type.Literal("entity"), Type.Literal("device")]),
        id: Type.String(),
        parent: Type.Optional(Type.Union([Type.String(), Type.Null()])),
        version: Type.Number(),
      }),
    ),
    revocationId: Type.Optional(Type.String()),
  }),
  Type.Object({ type: Type.Literal("factor_demands_changed"), groups: Type.Array(Type.String()) }),
  Type.Object({
    type: Type.Literal("owner_changed"),
    userId: Type.String(),
    previousId: Type.String(),
    version: Type.Optional(Type.Number()),
  }),
  Type.Object({
    type: Type.Literal("login_changed"),
    userId: Type.String(),
    credentialId: Type.String(),
    change: Type.Union([Type.Literal("removed"), Type.Literal("password")]),
    except: Type.Union([Type.String(), Type.Null()]),
    version: Type.Optional(Type.Number()),
  }),
  Type.Object({
    type: Type.Literal("session_changed"),
    userId: Type.String(),
    sessionId: Type.String(),
  }),
  Type.Object({
    type: Type.Literal("keyring_changed"),
    dropped: Type.Optional(Type.Array(Type.String())),
    revocationId: Type.Optional(Type.String()),
  }),
  Type.Object({
    type: Type.Literal("heartbeat"),
    node: Type.String(),
    n: Type.Number(),
    applied: Type.Union([Type.String(), Type.Null()]),
    policy: Type.Union([Type.Literal("suspend"), Type.Literal("close"), Type.Literal("serve_until_exp")]),
  }),
  Type.Object({ type: Type.Literal("node_left"), node: Type.String() }),
  Type.Object({
    type: Type.Literal("audited"),
    record: Type.Record(
      Type.String(),
      Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]),
    ),
  }),
]);
const KnownEvent = Compile(KnownEventSchema);

/** Does not compile if one of the two lacks an event that the other has. */
({}) satisfies Record<
  | Exclude<LogEvent["type"], Static<typeof KnownEventSchema>["type"]>
  | Exclude<Static<typeof KnownEventSchema>["type"], LogEvent["type"]>,
  never
>;

/**
 * Parses an entry's event. During an upgrade a newer node may write an event that this version does not know. If it
 * names a user, it counts as a change of that user.
 */
export function logEventOf(event: JsonObject): LogEvent | undefined {
  const known = withKnownCause(event, "cause");
  if (KnownEvent.Check(known)) return known;
  return typeof event.userId === "string"
    ? { type: "user_changed", userId: event.userId, change: "updated" }
    : undefined;
}

/**
 * Whether an entry, read as `event`, removes something from somebody in a way that only a newer node knows. Then every
 * socket must be reviewed: what was removed is in the store.
 */
export function isUnknownRevocation(entry: JsonObject, event: LogEvent | undefined): boolean {
  return typeof entry.revocationId === "string" && event?.type !== entry.type;
}
