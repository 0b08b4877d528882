import { type Static, Type } from "typebox";

import { Cursor, command, Name, OpaqueId, PageFields, Password, Username } from "./define.ts";

/** A user as administrators see it. */
export const UserInfo = Type.Object({
  id: OpaqueId,
  /** Login name at the local provider. */
  username: Type.Union([Type.String(), Type.Null()]),
  name: Type.Union([Type.String(), Type.Null()]),
  is_owner: Type.Boolean(),
  is_active: Type.Boolean(),
  /** Gatehouse's own: tells who waits for approval from who was deactivated. */
  state: Type.Optional(
    Type.Union([Type.Literal("pending"), Type.Literal("active"), Type.Literal("deactivated")]),
  ),
  local_only: Type.Boolean(),
  system_generated: Type.Boolean(),
  group_ids: Type.Array(Type.String()),
  credentials: Type.Array(Type.Object({ type: Type.String() })),
});
export type UserInfo = Static<typeof UserInfo>;

const GroupIds = Type.Array(OpaqueId, { maxItems: 64 });

/** Gatehouse's own field, for installations with several local providers. */
export const AtProvider = {
  auth_provider_id: Type.Optional(
    Type.Union([Type.String({ minLength: 1, maxLength: 64 }), Type.Null()], {
      description:
        "The `id` of the local provider, null for the one without. Absent: the first one of the configuration.",
    }),
  ),
};

/** Home Assistant's `config/auth/*` and `config/auth_provider/homeassistant/*`. */
export const adminCommands = {
  "config/auth/list": command("config/auth/list", "admin", {}, Type.Array(UserInfo)),
  /** Gatehouse's own: the same in pages, in the order of ids. */
  "gatehouse/users/list": command(
    "gatehouse/users/list",
    "admin",
    PageFields,
    Type.Object({ users: Type.Array(UserInfo), cursor: Cursor }),
  ),
  "config/auth/create": command(
    "config/auth/create",
    "admin",
    {
      name: Name,
      group_ids: Type.Optional(GroupIds),
      local_only: Type.Optional(
        Type.Boolean({ default: false, description: "Whether the user may come from local addresses only." }),
      ),
    },
    Type.Object({ user: UserInfo }),
  ),
  "config/auth/update": command(
    "config/auth/update",
    "admin",
    {
      user_id: OpaqueId,
      name: Type.Optional(Name),
      is_active: Type.Optional(Type.Boolean()),
      group_ids: Type.Optional(GroupIds),
      local_only: Type.Optional(Type.Boolean()),
    },
    Type.Object({ user: UserInfo }),
  ),
  "config/auth/delete": command("config/auth/delete", "admin", { user_id: OpaqueId }, Type.Null()),
  "config/auth_provider/homeassistant/create": command(
    "config/auth_provider/homeassistant/create",
    "admin",
    { user_id: OpaqueId, username: Username, password: Password, ...AtProvider },
    Type.Null(),
  ),
  "config/auth_provider/homeassistant/delete": command(
    "config/auth_provider/homeassistant/delete",
    "admin",
    { username: Username, ...AtProvider },
    Type.Null(),
  ),
  "config/auth_provider/homeassistant/change_password": command(
    "config/auth_provider/homeassistant/change_password",
    "user",
    { current_password: Password, new_password: Password, ...AtProvider },
    Type.Null(),
  ),
  "config/auth_provider/homeassistant/admin_change_password": command(
    "config/auth_provider/homeassistant/admin_change_password",
    "owner",
    { user_id: OpaqueId, password: Password, ...AtProvider },
    Type.Null(),
  ),
  "config/auth_provider/homeassistant/admin_change_username": command(
    "config/auth_provider/homeassistant/admin_change_username",
    "owner",
    { user_id: OpaqueId, username: Username, ...AtProvider },
    Type.Null(),
  ),
} as const;
