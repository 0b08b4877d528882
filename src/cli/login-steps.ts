import type { ExternalStep, FlowStep, ProgressStep } from "../../protocol/flow.ts";
import { AuthError } from "../auth/errors.ts";
import { GatewayError } from "../client/errors.ts";
import type { LoginFlow } from "../client/login-flow.ts";

/* What a terminal does with the steps of a login. */

/** The gateway ends a login that waits for too long, and closes its socket. */
export async function nextStep(flow: LoginFlow, waiting: ExternalStep | ProgressStep): Promise<FlowStep> {
  try {
    return await flow.next();
  } catch (error) {
    const isLost = error instanceof GatewayError && error.code === "connection_lost";
    if (!isLost || waiting.type !== "progress") throw error;
    const publicMessage =
      "Nobody has decided within the time of a login. You go on waiting: run the command again later";
    throw new AuthError("unavailable", { publicMessage, cause: error });
  }
}

/** What the person has to do. */
export function waitingText(step: ExternalStep | ProgressStep): string {
  const { code } = step.description_placeholders ?? {};
  const compare = code === undefined ? "" : `\nCode to compare: ${code}`;
  if (step.type === "external") return `Open this address in a browser: ${step.url}${compare}`;
  const what = step.progress_action === "wait_for_approval" ? "Somebody has to approve you" : "Waiting";
  return `${what}.${compare}`;
}

/** The error of a login that ended, or cannot go on here. */
export function refusal(step: FlowStep): AuthError {
  if (step.type === "abort")
    return new AuthError("access_denied", { publicMessage: `The login ended: ${step.reason}` });
  if (step.type === "form" && step.errors.base === "invalid_auth") {
    return new AuthError("access_denied", { publicMessage: "Invalid username or password" });
  }
  const isForKey = step.type === "form" && step.description_placeholders?.options !== undefined;
  const publicMessage = isForKey
    ? "A passkey or security key needs a browser: log in there, or choose another second factor"
    : "The login asks for a step that this command does not support";
  return new AuthError("not_supported", { publicMessage });
}
