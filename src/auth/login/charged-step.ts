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
 * Charges the try that the input is, where it is one; undefined where it is none. Nothing is looked up before, so that an
 * unknown name is refused like a known one. Throws `rate_limited`.
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

/** Refused before anybody looked at the input. */
const untried: ReadonlySet<string> = new Set(["overloaded", "conflict"]);

/**
 * Runs what was charged, and takes the charge back for a secret that was right and for what was not tried. A charge that
 * cannot be taken back only makes the next tries wait.
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
