import type { FlowStep, FormStep } from "../../protocol/flow.ts";
import { NEW_PASSWORD_STEP } from "../../protocol/reset-code.ts";
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

/** The step after a reset code, which was entered as the password. */
export function isNewPasswordForm(step: FlowStep): step is FormStep {
  return step.type === "form" && step.step_id === NEW_PASSWORD_STEP;
}

export async function answerNewPasswordForm(
  step: FormStep,
  ask: Ask,
  output: Output,
): Promise<Readonly<Record<string, string>>> {
  if (ask === undefined)
    throw new AuthError("not_supported", {
      publicMessage: "The code is right. It asks for a new password: run the command at a terminal",
    });
  const { reason } = step.description_placeholders ?? {};
  if (reason !== undefined) output.notice(reason);
  for (;;) {
    const password = await ask("New password: ");
    if ((await ask("Repeat password: ")) === password) return { new_password: password };
    output.notice("The two passwords differ.");
  }
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
  for (const { name: field, options = [] } of step.data_schema)
    input[field] = options.length > 0 ? await choose(options, ask, output) : await ask(`${name}, ${field}: `);
  return input;
}

type Option = readonly [id: string, label: string];

const mostQuestions = 3;

/** Takes the number, the id or the label. Throws `invalid_format` after three other answers. */
async function choose(options: readonly Option[], ask: NonNullable<Ask>, output: Output): Promise<string> {
  output.notice(options.map(([id, label], place) => `${place + 1}  ${label} (${id})`).join("\n"));
  for (let asked = 0; asked < mostQuestions; asked += 1) {
    const answer = (await ask("Second factor, by number or name: ")).trim().toLowerCase();
    const found = options.find(([id, label], place) =>
      [String(place + 1), id, label].some((each) => each.toLowerCase() === answer),
    );
    if (found !== undefined) return found[0];
    output.notice("That is none of them.");
  }
  throw new AuthError("invalid_format", { publicMessage: "No second factor was chosen" });
}
