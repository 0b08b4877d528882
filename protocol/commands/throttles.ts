import { type Static, Type } from "typebox";

import { Cursor, command, OpaqueId, PageFields } from "./define.ts";

const Text = Type.Union([Type.String(), Type.Null()]);

/** A budget of tries at a secret that was exhausted, and is not full again. */
export const ThrottleInfo = Type.Object({
  id: OpaqueId,
  /** Whose tries are counted. `device`: an account's on a device that it has logged in on. */
  kind: Type.Union([
    Type.Literal("account"),
    Type.Literal("account_and_address"),
    Type.Literal("device"),
    Type.Literal("address"),
    Type.Literal("password_change"),
    Type.Literal("user_code"),
    Type.Literal("second_factor"),
    Type.Literal("second_factor_message"),
  ]),
  /** Null: the tries of an address, or at a login name that nobody has. */
  user_id: Text,
  /** The login name at the provider; null like `user_id`, and for `password_change` and `user_code`. */
  username: Text,
  auth_provider_type: Text,
  auth_provider_id: Text,
  /** An IP address, or an IPv6 /64. */
  address: Text,
  /** Tries that are possible now. */
  attempts_left: Type.Integer({ minimum: 0 }),
  retry_after: Type.Integer({ minimum: 0, description: "Seconds until the next try; 0 if one is possible." }),
  /** When the budget will be full, ISO 8601 in UTC. */
  ends_at: Type.String(),
});
export type ThrottleInfo = Static<typeof ThrottleInfo>;

export const throttleCommands = {
  "gatehouse/throttles/list": command(
    "gatehouse/throttles/list",
    "admin",
    PageFields,
    Type.Object({ throttles: Type.Array(ThrottleInfo), cursor: Cursor }),
  ),
  "gatehouse/throttles/lift": command(
    "gatehouse/throttles/lift",
    "admin",
    { throttle_id: OpaqueId },
    Type.Null(),
  ),
} as const;
