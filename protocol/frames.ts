import { type Static, Type } from "typebox";

import { errorCodes } from "./errors.ts";

/** A message's number. It rises on each socket; gaps are allowed. */
export const Id = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const strict = { additionalProperties: false } as const;

/** Server to client, at open. */
export const AuthRequired = Type.Object({
  type: Type.Literal("auth_required"),
  ha_version: Type.String(),
  gatehouse: Type.Object({ protocol: Type.Integer() }),
});
export type AuthRequired = Static<typeof AuthRequired>;

/**
 * Client to server. No other key is allowed. Home Assistant refuses them too; a client that sends an id here is wrong.
 */
export const Auth = Type.Object(
  { type: Type.Literal("auth"), access_token: Type.String({ maxLength: 8192 }) },
  strict,
);
export type Auth = Static<typeof Auth>;

export const AuthOk = Type.Object({ type: Type.Literal("auth_ok"), ha_version: Type.String() });
export type AuthOk = Static<typeof AuthOk>;

/**
 * Server to client, followed by a close. Final: real clients never reconnect after it, so it never means "try again".
 */
export const AuthInvalid = Type.Object({ type: Type.Literal("auth_invalid"), message: Type.String() });
export type AuthInvalid = Static<typeof AuthInvalid>;

/** Server to client, with the `auth_expiring` feature: refresh now; `expires_in` seconds are left. */
export const AuthExpiring = Type.Object({
  type: Type.Literal("auth_expiring"),
  expires_in: Type.Integer({ description: "Seconds until the access token ends." }),
});
export type AuthExpiring = Static<typeof AuthExpiring>;

/**
 * Server to client, with the `auth_suspended` feature: the socket is paused until `auth_resumed`. If that does not come
 * within `retry_after` seconds, the socket is closed with `unavailable`.
 */
export const AuthSuspended = Type.Object({
  type: Type.Literal("auth_suspended"),
  retry_after: Type.Number({ description: "Seconds until the socket is closed if it does not continue." }),
});
export type AuthSuspended = Static<typeof AuthSuspended>;

/** Server to client, after `auth_suspended`: queued messages continue in their order. */
export const AuthResumed = Type.Object({ type: Type.Literal("auth_resumed") });
export type AuthResumed = Static<typeof AuthResumed>;

/**
 * Server to client, with the `step_up` feature, in place of the result for now: the command `id` runs once the person has
 * logged in again by `auth/step_up/*`.
 */
export const StepUpRequired = Type.Object({
  id: Id,
  type: Type.Literal("step_up_required"),
  acr: Type.Union([Type.Literal("aal1"), Type.Literal("aal2")], {
    description: "The least assurance level that the login must have.",
  }),
  max_age: Type.Integer({ description: "How old a login may be for this command, in seconds." }),
  flow_id: Type.String(),
  providers: Type.Array(
    Type.Object({
      name: Type.String(),
      type: Type.String(),
      id: Type.Union([Type.String(), Type.Null()]),
    }),
    { description: "The ways in which this user can log in again from here." },
  ),
  expires_in: Type.Integer({ description: "Seconds until the command is refused." }),
});
export type StepUpRequired = Static<typeof StepUpRequired>;

export const ErrorBody = Type.Object({
  code: Type.String(),
  message: Type.String(),
  translation_key: Type.Optional(Type.String()),
  translation_domain: Type.Optional(Type.String()),
  translation_placeholders: Type.Optional(Type.Record(Type.String(), Type.String())),
  retry_after: Type.Optional(
    Type.Number({ description: "Seconds after which a retry makes sense; only on retryable codes." }),
  ),
});
export type ErrorBody = Static<typeof ErrorBody>;

export const ResultOk = Type.Object({
  id: Type.Integer(),
  type: Type.Literal("result"),
  success: Type.Literal(true),
  result: Type.Unknown(),
});
/** `id` is the client's; 0 if its message had none. */
export const ResultError = Type.Object({
  id: Type.Unknown(),
  type: Type.Literal("result"),
  success: Type.Literal(false),
  error: ErrorBody,
});
export const Event = Type.Object({ id: Id, type: Type.Literal("event"), event: Type.Unknown() });
export const Pong = Type.Object({ id: Id, type: Type.Literal("pong") });

export type ResultOk = Static<typeof ResultOk>;
export type ResultError = Static<typeof ResultError>;
export type Event = Static<typeof Event>;
export type Pong = Static<typeof Pong>;

export type ServerMessage =
  | AuthRequired
  | AuthOk
  | AuthInvalid
  | AuthExpiring
  | AuthSuspended
  | AuthResumed
  | StepUpRequired
  | ResultOk
  | ResultError
  | Event
  | Pong;

/** Any message of the command phase, before its type is looked up. */
export const Envelope = Type.Object({ id: Id, type: Type.String({ maxLength: 128 }) });
export type Envelope = Static<typeof Envelope>;

/** True for a code of the error table. */
export function isErrorCode(code: string): code is keyof typeof errorCodes {
  return Object.hasOwn(errorCodes, code);
}
