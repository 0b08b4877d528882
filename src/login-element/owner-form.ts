import type { FormField, FormStep } from "../../protocol/flow.ts";

/** What the server wants of an owner, except the client id. */
export interface Owner {
  readonly setup_code: string;
  readonly name: string;
  readonly username: string;
  readonly password: string;
}

/** The `step_id` of the form, which comes from no flow. */
const stepId = "owner";

/**
 * The form for the owner. `asksForCode`: the page has no set-up code, or a wrong one. `reason`: the server's words for an
 * error, where the form of a reset code has them too.
 */
export function ownerForm(
  asksForCode: boolean,
  errors: Readonly<Record<string, string>> = {},
  reason?: string,
): FormStep {
  const names = ["name", "username", "new_password", "new_password_again"];
  const field = (name: string): FormField => ({ type: "string", name, required: true });
  return {
    type: "form",
    flow_id: "",
    handler: ["", null],
    step_id: stepId,
    data_schema: [...names, ...(asksForCode ? ["setup_code"] : [])].map(field),
    errors: { ...errors },
    description_placeholders: reason === undefined ? null : { reason },
    last_step: null,
    preview: null,
  };
}

export function isOwnerForm({ flow_id, step_id }: FormStep): boolean {
  return flow_id === "" && step_id === stepId;
}

/** The owner in the form's values, or the errors by field. The server wants a user name in normal form. */
export function ownerIn(
  { name, username, new_password, new_password_again, setup_code }: Readonly<Record<string, unknown>>,
  setupCode: string,
): Owner | { readonly errors: Readonly<Record<string, string>> } {
  if (new_password !== new_password_again) return { errors: { new_password_again: "passwords_differ" } };
  return {
    setup_code: String(setup_code ?? setupCode).trim(),
    name: String(name).trim(),
    username: normalised(String(username)),
    password: String(new_password),
  };
}

/** Which field an error of the server is about. */
const fields: Readonly<Record<string, string>> = {
  invalid_username: "username",
  username_not_normalized: "username",
  invalid_password: "new_password",
  invalid_setup_code: "setup_code",
};

export function errorsOf(code: string): Readonly<Record<string, string>> | undefined {
  const field = Object.hasOwn(fields, code) ? fields[code] : undefined;
  return field === undefined ? undefined : { [field]: code };
}

/** NFKC with full case folding and without blanks around it, as the server stores it. */
function normalised(username: string): string {
  const folded = username
    .normalize("NFKC")
    .split("ı")
    .map((part) => part.toLowerCase().toUpperCase().toLowerCase())
    .join("ı")
    .replaceAll("ς", "σ");
  return folded.normalize("NFKC").trim();
}
