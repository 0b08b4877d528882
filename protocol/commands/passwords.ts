import { Type } from "typebox";

import { AtProvider } from "./admin.ts";
import { command, OpaqueId } from "./define.ts";

/** What administrators do for users who have forgotten their password. */
export const passwordCommands = {
  "gatehouse/password/reset/create": command(
    "gatehouse/password/reset/create",
    "admin",
    { user_id: OpaqueId, ...AtProvider },
    /** `expires_at`: ISO 8601. */
    Type.Object({ code: Type.String(), expires_at: Type.String() }),
  ),
  "gatehouse/password/reset/cancel": command(
    "gatehouse/password/reset/cancel",
    "admin",
    { user_id: OpaqueId },
    Type.Object({ cancelled: Type.Boolean() }),
  ),
} as const;
