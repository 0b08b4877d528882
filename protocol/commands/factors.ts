import { type Static, Type } from "typebox";

import { FormField } from "../flow.ts";
import { command, FlowId, OpaqueId, UserInput } from "./define.ts";

/** The id of a second factor of the configuration; Home Assistant's MFA module. */
export const FactorId = Type.String({ minLength: 1, maxLength: 64, pattern: "^[A-Za-z0-9._-]+$" });

const step = { flow_id: FlowId, handler: FactorId };
const Placeholders = Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]);

/** A step of a set-up. As in Home Assistant its handler is the factor's id alone. */
export const FactorSetupStep = Type.Union([
  Type.Object({
    type: Type.Literal("form"),
    ...step,
    step_id: Type.String(),
    data_schema: Type.Array(FormField),
    errors: Type.Record(Type.String(), Type.String()),
    /** What is to be shown, also secrets: of `totp` `code`, `url` and `qr_code`, of `recovery` `codes`. */
    description_placeholders: Placeholders,
    last_step: Type.Null(),
    preview: Type.Null(),
  }),
  Type.Object({
    type: Type.Literal("create_entry"),
    ...step,
    description: Type.Null(),
    description_placeholders: Placeholders,
    /** Home Assistant has the secret here. */
    data: Type.Object({ result: Type.Null() }),
  }),
  Type.Object({
    type: Type.Literal("abort"),
    ...step,
    reason: Type.String(),
    description_placeholders: Placeholders,
  }),
]);
export type FactorSetupStep = Static<typeof FactorSetupStep>;

export const FactorInfo = Type.Object({ id: FactorId, name: Type.String(), enabled: Type.Boolean() });

/** Home Assistant's commands for second factors, and what administrators do about them. */
export const factorCommands = {
  /** Either `mfa_module_id`, which begins a set-up, or `flow_id`, which goes on with it. */
  "auth/setup_mfa": command(
    "auth/setup_mfa",
    "user",
    {
      mfa_module_id: Type.Optional(FactorId),
      flow_id: Type.Optional(FlowId),
      user_input: Type.Optional(UserInput),
    },
    FactorSetupStep,
  ),
  "auth/depose_mfa": command("auth/depose_mfa", "user", { mfa_module_id: FactorId }, Type.Literal("done")),
  "gatehouse/mfa/list": command(
    "gatehouse/mfa/list",
    "admin",
    { user_id: OpaqueId },
    Type.Object({ modules: Type.Array(FactorInfo) }),
  ),
  /** Without `mfa_module_id`: every factor of the user. */
  "gatehouse/mfa/reset": command(
    "gatehouse/mfa/reset",
    "admin",
    { user_id: OpaqueId, mfa_module_id: Type.Optional(FactorId) },
    Type.Null(),
  ),
  /** The groups whose members must have a second factor. */
  "gatehouse/mfa/demands/list": command(
    "gatehouse/mfa/demands/list",
    "admin",
    {},
    Type.Object({ group_ids: Type.Array(OpaqueId) }),
  ),
  "gatehouse/mfa/demands/set": command(
    "gatehouse/mfa/demands/set",
    "admin",
    { group_id: OpaqueId, demanded: Type.Boolean() },
    Type.Null(),
  ),
} as const;
