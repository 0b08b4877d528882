import { Type } from "typebox";

import { RefreshTokenInfo } from "./auth.ts";
import { Cursor, command, OpaqueId, PageFields } from "./define.ts";

/** Gatehouse's own commands of administrators about other people. */
export const administrationCommands = {
  "gatehouse/users/sessions": command(
    "gatehouse/users/sessions",
    "admin",
    { user_id: OpaqueId, ...PageFields },
    Type.Object({ sessions: Type.Array(RefreshTokenInfo), cursor: Cursor }),
  ),
  "gatehouse/owner/transfer": command(
    "gatehouse/owner/transfer",
    "owner",
    { user_id: OpaqueId },
    Type.Null(),
  ),
} as const;
