import type { FormField } from "../../../protocol/flow.ts";
import type { ProviderStep } from "./provider.ts";

const fields: readonly FormField[] = [
  { name: "username", type: "string", required: true },
  { name: "password", type: "string", required: true },
];

/** Home Assistant's form for a login name and a password. */
export const passwordForm: ProviderStep = { kind: "form", stepId: "init", fields };
/** The answer for an unknown name, a wrong password, and a user who may not log in, after the same work. */
export const refusedPassword: ProviderStep = { ...passwordForm, errors: { base: "invalid_auth" } };
