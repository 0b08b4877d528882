import { type Static, Type } from "typebox";

import { RefreshGrant } from "../flow.ts";
import { Policy } from "../policy.ts";
import { Cursor, command, Empty, Name, OpaqueId, PageFields } from "./define.ts";

const Time = Type.Union([Type.String(), Type.Null()]);
const Text = Type.Union([Type.String(), Type.Null()]);

export const SessionType = Type.Union([
  Type.Literal("normal"),
  Type.Literal("long_lived_access_token"),
  Type.Literal("system"),
]);

/** One session as its user sees it. Times are ISO 8601 in UTC. */
export const RefreshTokenInfo = Type.Object({
  id: OpaqueId,
  client_id: Text,
  client_name: Text,
  client_icon: Text,
  type: SessionType,
  created_at: Type.String(),
  last_used_at: Time,
  last_used_ip: Text,
  expire_at: Time,
  is_current: Type.Boolean(),
  auth_provider_type: Text,
  /** Gatehouse's own: what its tokens may do at most. Absent: everything that the user may do. */
  policy: Type.Optional(Policy),
});
export type RefreshTokenInfo = Static<typeof RefreshTokenInfo>;

export const CurrentUser = Type.Object({
  id: OpaqueId,
  name: Text,
  is_owner: Type.Boolean(),
  is_admin: Type.Boolean(),
  credentials: Type.Array(Type.Object({ auth_provider_type: Type.String(), auth_provider_id: Text })),
  mfa_modules: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), enabled: Type.Boolean() })),
});
export type CurrentUser = Static<typeof CurrentUser>;

/** Home Assistant's `auth/*`, and Gatehouse's in-band refresh. */
export const authCommands = {
  "auth/current_user": command("auth/current_user", "user", {}, CurrentUser, "profile"),
  "auth/refresh_tokens": command("auth/refresh_tokens", "user", {}, Type.Array(RefreshTokenInfo)),
  /**
   * Gatehouse's own: the same in pages, in the order of ids. A page may hold fewer sessions than asked for, or none,
   * although more follow.
   */
  "gatehouse/sessions/list": command(
    "gatehouse/sessions/list",
    "user",
    PageFields,
    Type.Object({ sessions: Type.Array(RefreshTokenInfo), cursor: Cursor }),
  ),
  "auth/delete_refresh_token": command(
    "auth/delete_refresh_token",
    "user",
    { refresh_token_id: OpaqueId },
    Empty,
  ),
  "auth/delete_all_refresh_tokens": command(
    "auth/delete_all_refresh_tokens",
    "user",
    {
      token_type: Type.Optional(
        Type.Union([Type.Literal("normal"), Type.Literal("long_lived_access_token")], {
          description: "Sessions of this type only. Without it: of every type.",
        }),
      ),
      delete_current_token: Type.Optional(
        Type.Boolean({ default: true, description: "Whether this socket's own session ends too." }),
      ),
    },
    Empty,
  ),
  "auth/refresh_token_set_expiry": command(
    "auth/refresh_token_set_expiry",
    "user",
    { refresh_token_id: OpaqueId, enable_expiry: Type.Boolean() },
    Empty,
  ),
  "auth/long_lived_access_token": command(
    "auth/long_lived_access_token",
    "user",
    {
      lifespan: Type.Integer({ minimum: 1, maximum: 3650, description: "Life of the token, in days." }),
      client_name: Name,
      client_icon: Type.Optional(Type.String({ maxLength: 128 })),
      policy: Type.Optional(Policy),
    },
    Type.String(),
  ),
  "auth/sign_path": command(
    "auth/sign_path",
    "user",
    {
      path: Type.String({ minLength: 1, maxLength: 2048 }),
      expires: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 86_400,
          default: 30,
          description: "How long the signature is good, in seconds.",
        }),
      ),
    },
    Type.Object({ path: Type.String() }),
  ),
  /** Gatehouse's own: new tokens on the same socket. Only the refresh token of this socket's session is accepted. */
  "auth/refresh": command(
    "auth/refresh",
    "user",
    { refresh_token: Type.String({ minLength: 1, maxLength: 256 }) },
    RefreshGrant,
    null,
  ),
} as const;
