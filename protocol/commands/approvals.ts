import { type Static, Type } from "typebox";

import { Handler } from "../flow.ts";
import { UserInfo } from "./admin.ts";
import { command, OpaqueId } from "./define.ts";

const Text = Type.Union([Type.String(), Type.Null()]);

/** A user who waits for approval, and the login that asked last. */
export const WaitingUser = Type.Object({
  user_id: OpaqueId,
  /** Display name. The person may have chosen it. */
  name: Text,
  /** Who the person is at the provider: a login name, or what the provider has instead. */
  subject: Type.String(),
  provider: Handler,
  client_id: Text,
  /** What the device calls itself. */
  client_name: Text,
  /** The device's address; null: not known. */
  address: Text,
  /** The waiting person sees the same code. */
  code: Type.String({ pattern: "^[B-Z]{4}-[B-Z]{4}$" }),
  /** The groups that the user gets, unless the decision names others. */
  group_ids: Type.Array(Type.String()),
  requested_at: Type.String({ format: "date-time" }),
  /** Without another login until then, the user is removed. */
  ends_at: Type.String({ format: "date-time" }),
});
export type WaitingUser = Static<typeof WaitingUser>;

/** Decisions on users who wait for approval. For the owner, or for administrators if the configuration says so. */
export const approvalCommands = {
  "gatehouse/approvals/list": command(
    "gatehouse/approvals/list",
    "admin",
    {},
    Type.Object({ waiting: Type.Array(WaitingUser) }),
  ),
  "gatehouse/approvals/approve": command(
    "gatehouse/approvals/approve",
    "admin",
    {
      user_id: OpaqueId,
      group_ids: Type.Optional(
        Type.Array(OpaqueId, {
          maxItems: 64,
          description: "Groups of the user, instead of those of the provider.",
        }),
      ),
    },
    Type.Object({ user: UserInfo }),
  ),
  "gatehouse/approvals/refuse": command(
    "gatehouse/approvals/refuse",
    "admin",
    { user_id: OpaqueId },
    Type.Null(),
  ),
} as const;
