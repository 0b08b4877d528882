import { type Static, Type } from "typebox";

import type { CloseName } from "../../../protocol/close-codes.ts";
import type { RevocationCause } from "../model.ts";
import type { JsonObject } from "../store.ts";

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

/** Does not compile if one of the two lacks a cause that the other has. */
({}) satisfies Record<
  Exclude<RevocationCause, Static<typeof Cause>> | Exclude<Static<typeof Cause>, RevocationCause>,
  never
>;

const known: ReadonlySet<unknown> = new Set(Cause.anyOf.map((one) => one.const));

/**
 * What a newer node has stored or logged, as this version reads it: a cause that it does not know counts as
 * `session_revoked`. Whatever the cause is, the session has ended.
 */
export function withKnownCause(value: JsonObject, field: "cause" | "revokedCause"): JsonObject {
  const cause = value[field];
  if (typeof cause !== "string" || known.has(cause)) return value;
  return { ...value, [field]: "session_revoked" satisfies RevocationCause };
}

/** The close code that says why a live connection ends. The names are the same on purpose; the compiler holds them so. */
export function closeNameOf(cause: RevocationCause): CloseName {
  return cause;
}
