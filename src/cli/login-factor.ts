import type { FlowStep, FormStep } from "../../protocol/flow.ts";
import { AuthError } from "../auth/errors.ts";
import type { Output } from "./output.ts";

/** Asks the person one thing, without echo. Undefined where there is no terminal. */
export type Ask = ((question: string) => Promise<string>) | undefined;

const factorSteps = new Set(["select_mfa_module", "mfa", "select_mfa_setup", "mfa_setup", "mfa_recovery"]);

/** A step of a login for a second factor that a terminal can answer: codes, and choices. Keys need a browser. */
export function isFactorForm(step: FlowStep): step is FormStep {
  return (
    step.type === "form" &&
    factorSteps.has(step.step_id) &&
    step.data_schema.every(({ name, type }) => type === "select" || name === "code" || name === "target")
  );
}

/** Shows what belongs to the form, and asks for each of its fields. */
export async function answerFactorForm(
  step: FormStep,
  ask: Ask,
  output: Output,
): Promise<Readonly<Record<string, string>>> {
  if (ask === undefined)
    throw new AuthError("not_supported", {
      publicMessage: "The login asks for a second factor: run the command at a terminal",
    });
  if (step.errors.base === "invalid_code") output.notice("The code is wrong.");
  const { mfa_module_name: name = "", code, url, codes } = step.description_placeholders ?? {};
  if (url !== undefined)
    output.notice(`You need a second factor. Give an authenticator app this key: ${code}\n${url}`);
  if (codes !== undefined) {
    output.notice(`Keep these codes. Each lets you in once if you lose your second factor:\n${codes}`);
    await ask("Press Enter when you have kept them: ");
  }
  const input: Record<string, string> = {};
  for (const { name: field, options = [] } of step.data_schema) {
    if (options.length > 0) output.notice(options.map(([id, label]) => `${id}: ${label}`).join("\n"));
    input[field] = await ask(options.length > 0 ? "Second factor: " : `${name}, ${field}: `);
  }
  return input;
}
