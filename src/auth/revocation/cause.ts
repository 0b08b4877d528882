import { Type } from "typebox";

import type { CloseName } from "../../../protocol/close-codes.ts";
import type { RevocationCause } from "../model.ts";

/** Causes as they are stored and logged. */
export const Cause = Type.Union([
  Type.Literal("session_revoked"),
  Type.Literal("session_expired"),
  Type.Literal("user_deactivated"),
  Type.Literal("user_removed"),
  Type.Literal("password_changed"),
  Type.Literal("credential_removed"),
  Type.Literal("token_reused"),
]);

/** The close code that says why a live connection ends. The names are the same on purpose; the compiler holds them so. */
export function closeNameOf(cause: RevocationCause): CloseName {
  return cause;
}
