import { type Static, Type } from "typebox";

/** `[type, id]` of a provider; the id is null if the type has only one provider. */
export const Handler = Type.Tuple([
  Type.String({ maxLength: 64 }),
  Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
]);
export type Handler = Static<typeof Handler>;

/**
 * One input field of a form, in Home Assistant's format (the serialisation of the Python package voluptuous_serialize).
 */
export const FormField = Type.Object(
  {
    name: Type.String(),
    type: Type.Union([
      Type.Literal("string"),
      Type.Literal("integer"),
      Type.Literal("boolean"),
      Type.Literal("select"),
    ]),
    required: Type.Optional(Type.Boolean()),
    optional: Type.Optional(Type.Boolean()),
    /** `[value, label]` pairs of a select. */
    options: Type.Optional(Type.Array(Type.Tuple([Type.String(), Type.String()]))),
  },
  { additionalProperties: false },
);
export type FormField = Static<typeof FormField>;

const step = {
  flow_id: Type.String(),
  handler: Handler,
};
/** Only on the answer to `auth/login/start`: the secret that `auth/login/resume` requires on another socket. */
const secret = { flow_secret: Type.Optional(Type.String()) };
/** On every step after a password was proved: the server's own proof, which the client MUST check. */
const proof = {
  server_final: Type.Optional(
    Type.String({ description: "The last message of a SCRAM exchange: the server's own proof." }),
  ),
};
const placeholders = Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]);

export const FormStep = Type.Object({
  type: Type.Literal("form"),
  ...step,
  ...secret,
  ...proof,
  step_id: Type.String(),
  /** By which the form can be answered without sending the password; see `scram.ts`. */
  mechanisms: Type.Optional(
    Type.Array(Type.String(), {
      description: "SCRAM mechanisms by which the form can be answered in place of its fields.",
    }),
  ),
  /** Only after a proof that was refused; see `scram.md`. */
  send_password: Type.Optional(
    Type.Literal(true, {
      description: "The password may be right nevertheless: the server can check some only if they are sent.",
    }),
  ),
  data_schema: Type.Array(FormField),
  /** `{}`, or for instance `{"base": "invalid_auth"}`. */
  errors: Type.Record(Type.String(), Type.String()),
  description_placeholders: placeholders,
  last_step: Type.Null(),
  preview: Type.Null(),
});
export type FormStep = Static<typeof FormStep>;

/** The user goes to `url`. What happens there completes the step, and the server pushes the next one. */
export const ExternalStep = Type.Object({
  type: Type.Literal("external"),
  ...step,
  ...secret,
  ...proof,
  step_id: Type.String(),
  url: Type.String(),
  description_placeholders: placeholders,
});
export type ExternalStep = Static<typeof ExternalStep>;

/** The server waits for something (an approval, a push); it pushes the next step. */
export const ProgressStep = Type.Object({
  type: Type.Literal("progress"),
  ...step,
  ...secret,
  ...proof,
  step_id: Type.String(),
  progress_action: Type.String(),
  description_placeholders: placeholders,
});
export type ProgressStep = Static<typeof ProgressStep>;

export const AbortStep = Type.Object({
  type: Type.Literal("abort"),
  ...step,
  reason: Type.String(),
  description_placeholders: placeholders,
});
export type AbortStep = Static<typeof AbortStep>;

/** The result of a finished login on a socket: RFC 6749 section 5.1 plus the session's id. */
export const SessionGrant = Type.Object({
  access_token: Type.String(),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer({ description: "Seconds until the access token ends." }),
  refresh_token: Type.String(),
  session_id: Type.String(),
  ha_auth_provider: Type.String(),
});
export type SessionGrant = Static<typeof SessionGrant>;

/** The result of a step-up: another access token of the same session, which says what was proved. */
export const StepUpGrant = Type.Object({
  access_token: Type.String(),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer({ description: "Seconds until the access token ends." }),
});
export type StepUpGrant = Static<typeof StepUpGrant>;

/** The result of a refresh. `refresh_token` is present only if the session rotates: keep it and forget the old one. */
export const RefreshGrant = Type.Object({
  access_token: Type.String(),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer({ description: "Seconds until the access token ends." }),
  refresh_token: Type.Optional(Type.String()),
});
export type RefreshGrant = Static<typeof RefreshGrant>;

/**
 * `result` is a session grant (`for: "session"`), an authorization code (`for: "code"`), the id of the credential that
 * `auth/link/*` has linked. After `auth/step_up/*` it is the id of the session, and `token` is there.
 */
export const CreateEntryStep = Type.Object({
  type: Type.Literal("create_entry"),
  ...step,
  description: Type.Null(),
  description_placeholders: placeholders,
  result: Type.Union([SessionGrant, Type.String()]),
  token: Type.Optional(StepUpGrant),
  /** For `device_token` of the next login on this device. */
  device_token: Type.Optional(Type.String()),
  ...proof,
});
export type CreateEntryStep = Static<typeof CreateEntryStep>;

export const FlowStep = Type.Union([FormStep, ExternalStep, ProgressStep, AbortStep, CreateEntryStep]);
export type FlowStep = Static<typeof FlowStep>;
