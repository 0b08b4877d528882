import type { FormField } from "../../../protocol/flow.ts";
import { AuthError } from "../errors.ts";
import type { SentStep } from "./flow-record.ts";

/** Longest text of one field, in UTF-16 units. */
const maxTextLength = 1024;

export type FormInput = Readonly<Record<string, string | number | boolean>>;

type SentForm = Pick<Extract<SentStep, { readonly kind: "form" }>, "fields" | "mechanisms">;

/**
 * What a form is answered with: its fields, or the first message of one of its mechanisms. Throws `invalid_format` as
 * `readFormInput` does, and for a mechanism that the form does not have.
 */
export function readAnswer(form: SentForm, input: Readonly<Record<string, unknown>>): FormInput {
  if (!Object.hasOwn(input, "mechanism") || form.mechanisms === undefined)
    return readFormInput(form.fields, input);
  const answer = readFormInput(mechanismFields, input);
  if (!form.mechanisms.includes(String(answer.mechanism))) throw malformed("mechanism is not offered");
  return answer;
}

const mechanismFields: readonly FormField[] = [
  { name: "mechanism", type: "string", required: true },
  { name: "initial_response", type: "string", required: true },
];

/**
 * Validates the input against the form: every required field, no other key, each value of its field's type, a
 * select's value among its options. Throws `invalid_format` with the name of the field, never its value.
 */
export function readFormInput(
  fields: readonly FormField[],
  input: Readonly<Record<string, unknown>>,
): FormInput {
  const known = new Set(fields.map(({ name }) => name));
  if (Object.keys(input).some((key) => !known.has(key))) throw malformed("unknown field");
  const values: [string, string | number | boolean][] = [];
  for (const field of fields) {
    const value = Object.hasOwn(input, field.name) ? input[field.name] : undefined;
    if (value === undefined) {
      if (isRequired(field)) throw malformed(`${field.name} is missing`);
      continue;
    }
    values.push([field.name, readValue(field, value)]);
  }
  return Object.fromEntries(values);
}

/** Home Assistant's select for MFA modules has neither flag, and is required. */
function isRequired(field: FormField): boolean {
  return field.required ?? field.optional !== true;
}

function readValue(field: FormField, value: unknown): string | number | boolean {
  if (field.type === "boolean" && typeof value === "boolean") return value;
  if (field.type === "integer" && typeof value === "number" && Number.isSafeInteger(value)) return value;
  if (field.type === "string" && typeof value === "string" && value.length <= maxTextLength) return value;
  const chosen = field.type === "select" && field.options?.find(([option]) => option === value);
  if (chosen) return chosen[0];
  throw malformed(`${field.name} does not fit`);
}

function malformed(what: string): AuthError {
  return new AuthError("invalid_format", { publicMessage: `User input malformed: ${what}` });
}
