import type { ChaosSocket } from "./chaos-socket.ts";
import { resultOf } from "./recorded-socket.ts";
import type { TestUser } from "./session-client.ts";

const handler = ["homeassistant", null];

interface Step {
  readonly flow_id: string;
  readonly type: string;
  readonly result?: unknown;
  readonly flow_secret?: string;
}

/**
 * Runs a login with a password and returns the flow's result. `refused`: certainly not logged in. Undefined: unknown.
 */
export async function logInOn<T>(
  socket: ChaosSocket,
  { username, password }: TestUser,
  more: object = {},
): Promise<T | "refused" | undefined> {
  const started = await socket.request("auth/login/start", { handler, ...more }, 6_000);
  const form = started.kind === "answer" ? resultOf<Step>(started.message) : undefined;
  if (form === undefined) return "refused";
  const input = { flow_id: form.flow_id, user_input: { username, password } };
  const answered = await socket.request("auth/login/step", input, 6_000);
  if (answered.kind !== "answer") return undefined;
  const step = resultOf<Step>(answered.message);
  if (step === undefined) return undefined;
  return step.type === "create_entry" ? (step.result as T) : "refused";
}
