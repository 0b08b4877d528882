import { html, nothing, type TemplateResult } from "lit";

import type { FormField, FormStep } from "../../protocol/flow.ts";
import { fieldHint, fieldLabel, fill, type Texts, textOfCode } from "./texts.ts";

/** The longest text that a flow takes, in UTF-16 code units. */
const longestText = 1_024;

export interface FieldInForm {
  readonly field: FormField;
  readonly texts: Texts;
  /** What is wrong with this field, in words. */
  readonly problem: string | undefined;
}

/** One field with its label. The input's id is that of `fieldId`. */
export function fieldTemplate(shown: FieldInForm): TemplateResult {
  const { field, texts, problem } = shown;
  const id = fieldId(field);
  const label = fieldLabel(texts, field.name);
  const extra = isRequired(field) ? nothing : html` <span class="hint">(${texts.optional})</span>`;
  const error =
    problem === undefined ? nothing : html`<p class="problem" part="error" id="${id}-problem">${problem}</p>`;
  if (field.type === "boolean")
    return html`<div class="check" part="field">${inputTemplate(shown, id)}<label part="label" for=${id}>${label}</label>${error}</div>`;
  return html`<div part="field"><label part="label" for=${id}>${label}${extra}</label>${inputTemplate(shown, id)}${hintTemplate(shown, id)}${error}</div>`;
}

function hintTemplate({ field, texts }: FieldInForm, id: string) {
  const hint = fieldHint(texts, field.name);
  return hint === undefined ? nothing : html`<p class="hint" id="${id}-hint">${hint}</p>`;
}

function inputTemplate({ field, texts, problem }: FieldInForm, id: string): TemplateResult {
  const { name } = field;
  const invalid = problem === undefined ? nothing : "true";
  const hint = fieldHint(texts, name) === undefined ? [] : [`${id}-hint`];
  const describedBy = [...hint, ...(problem === undefined ? [] : [`${id}-problem`])].join(" ") || nothing;
  const required = isRequired(field);
  if (field.type === "select")
    return html`<select part="input" id=${id} name=${name} ?required=${required} aria-invalid=${invalid} aria-describedby=${describedBy}>
      ${(field.options ?? []).map(([value, label]) => html`<option value=${value}>${label}</option>`)}
    </select>`;
  if (field.type === "boolean")
    return html`<input part="input" id=${id} name=${name} type="checkbox" aria-invalid=${invalid} aria-describedby=${describedBy}>`;
  return html`<input part="input" id=${id} name=${name} type=${isSecret(field) ? "password" : "text"}
    inputmode=${field.type === "integer" ? "numeric" : nothing} autocomplete=${autocompleteOf(field)}
    autocapitalize="none" spellcheck="false" maxlength=${longestText} ?required=${required}
    aria-invalid=${invalid} aria-describedby=${describedBy}>`;
}

export function fieldId({ name }: FormField): string {
  return `field-${name}`;
}

/** The protocol's rule: what is typed into such a field is masked. */
export function isSecret({ type, name }: FormField): boolean {
  return type === "string" && name.includes("password");
}

function isRequired({ required, optional }: FormField): boolean {
  return required === true || (required === undefined && optional !== true);
}

/** The purposes that browsers and password managers know (HTML, "autofill"). */
function autocompleteOf(field: FormField): string {
  if (isSecret(field)) return field.name.includes("new") ? "new-password" : "current-password";
  if (field.name === "username" || field.name === "name") return field.name;
  return /^(?:code|otp|totp)$/.test(field.name) ? "one-time-code" : "off";
}

export type FormAnswer =
  | { readonly input: Readonly<Record<string, unknown>> }
  /** What is wrong, in words, by the name of the field. */
  | { readonly wrong: Readonly<Record<string, string>> };

/** The form's values in the types that the schema asks for. Empty optional fields are left out. */
export function answerOf(form: HTMLFormElement, { data_schema }: FormStep, texts: Texts): FormAnswer {
  const data = new FormData(form);
  const input: Record<string, unknown> = {};
  const wrong: Record<string, string> = {};
  for (const field of data_schema) {
    const text = String(data.get(field.name) ?? "");
    if (field.type === "boolean") input[field.name] = data.has(field.name);
    else if (text === "") {
      if (isRequired(field)) wrong[field.name] = texts.missing;
    } else if (field.type !== "integer") input[field.name] = text;
    else if (/^\s*-?\d{1,15}\s*$/.test(text)) input[field.name] = Number(text);
    else wrong[field.name] = texts.notANumber;
  }
  return Object.keys(wrong).length === 0 ? { input } : { wrong };
}

/** What the server found wrong with single fields. `base` is about the whole form. */
export function problemsOf(step: FormStep, texts: Texts): Record<string, string> {
  const { errors, data_schema } = step;
  const problems: Record<string, string> = {};
  for (const { name } of data_schema) {
    const code = Object.hasOwn(errors, name) ? errors[name] : undefined;
    if (code !== undefined)
      problems[name] = shortPassword(step, code, texts) ?? textOfCode(texts.problems, code);
  }
  return problems;
}

/** Only the server's words tell how many characters it wants, and only if there are too few. */
function shortPassword(
  { description_placeholders }: FormStep,
  code: string,
  texts: Texts,
): string | undefined {
  if (code !== "invalid_password") return undefined;
  const [, count] = /at least (\d{1,4}) characters/.exec(description_placeholders?.reason ?? "") ?? [];
  return count === undefined ? undefined : fill(texts.shortPassword, { count });
}
