import { AuthError } from "../errors.ts";
import type { Peer } from "../model.ts";
import type { LoginProvider, ProviderStep } from "../providers/provider.ts";
import type { Guess, LoginThrottle } from "../throttling/login-throttle.ts";
import type { Credentials } from "../users/credentials.ts";
import type { SentStep } from "./flow-record.ts";
import type { FormInput } from "./form-input.ts";

export interface ChargingTools {
  readonly throttle: LoginThrottle;
  readonly credentials: Pick<Credentials, "find">;
}

/**
 * Charges a guess if the input is one; undefined if not. Nothing is looked up before, so an unknown name is refused
 * like a known one. Throws `rate_limited`.
 */
export async function chargeStep(
  { throttle, credentials }: ChargingTools,
  { type, id, guessedName }: LoginProvider,
  { stepId }: SentStep,
  input: FormInput,
  peer: Peer,
): Promise<Guess | undefined> {
  const name = guessedName?.(stepId, input);
  if (name === undefined) return undefined;
  return await throttle.charge({ provider: [type, id], name }, peer).catch((error: unknown) => {
    if (!(error instanceof AuthError) || error.code !== "rate_limited") throw error;
    const userId = async () => (await credentials.find(type, id, name))?.credential.userId;
    throw new AuthError("rate_limited", { retryAfterSeconds: error.retryAfterSeconds ?? 1, userId });
  });
}

/** Refused before the input was checked. */
const untried: ReadonlySet<string> = new Set(["overloaded", "conflict"]);

/**
 * Runs the charged step. Refunds the charge if the secret was right, or if the step was not carried out. A failed
 * refund only delays later attempts.
 */
export async function runCharged<Tried extends { readonly step: ProviderStep }>(
  guess: Guess | undefined,
  work: () => Promise<Tried>,
): Promise<Tried> {
  try {
    const tried = await work();
    if (tried.step.kind === "done") await guess?.succeeded().catch(() => undefined);
    return tried;
  } catch (error) {
    if (error instanceof AuthError && untried.has(error.code)) await guess?.refund().catch(() => undefined);
    throw error;
  }
}
