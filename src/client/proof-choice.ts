import type { FlowStep } from "../../protocol/flow.ts";
import { isResetCode } from "../../protocol/reset-code.ts";

/** A name and a password that a form is to be answered with. */
export interface PasswordInput {
  readonly username: string;
  readonly password: string;
  readonly mechanisms: readonly string[];
  /** Of the form. */
  readonly stepId: string;
}

/** Undefined for a form that asks for no password, and for a reset code, which is sent. */
export function passwordIn(
  step: FlowStep,
  { username, password }: Readonly<Record<string, unknown>>,
): PasswordInput | undefined {
  if (step.type !== "form" || typeof password !== "string" || typeof username !== "string") return undefined;
  if (isResetCode(password)) return undefined;
  return { username, password, mechanisms: step.mechanisms ?? [], stepId: step.step_id };
}
