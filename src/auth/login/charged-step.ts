import type { FlowStep } from "../../../protocol/flow.ts";
import { AuthError } from "../errors.ts";
import type { Peer } from "../model.ts";
import type { LoginProvider, ProviderStep } from "../providers/provider.ts";
import type { DeviceTokens } from "../throttling/device-tokens.ts";
import type { Guess, LoginThrottle } from "../throttling/login-throttle.ts";
import type { Credentials } from "../users/credentials.ts";
import type { Flow } from "./flow-record.ts";
import type { FormInput } from "./form-input.ts";

export interface ChargingTools {
  readonly throttle: LoginThrottle;
  readonly devices: DeviceTokens;
  readonly credentials: Pick<Credentials, "find">;
}

/**
 * Charges a guess if the input is one; undefined if not. Nothing is looked up before, so an unknown name is refused
 * like a known one. Throws `rate_limited`.
 */
export async function chargeStep(
  { throttle, devices, credentials }: ChargingTools,
  { type, id, guessedName }: LoginProvider,
  flow: Pick<Flow, "step" | "device" | "providerState">,
  input: FormInput,
  peer: Peer,
): Promise<Guess | undefined> {
  const name = guessedName?.(flow.step.stepId, input, flow.providerState);
  if (name === undefined) return undefined;
  const account = { provider: [type, id], name } as const;
  const { device } = flow;
  const deviceId = device && devices.knows(device, account) ? device.id : undefined;
  return await throttle.charge(account, peer, deviceId).catch((error: unknown) => {
    if (!(error instanceof AuthError) || error.code !== "rate_limited") throw error;
    const userId = async () => (await credentials.find(type, id, name))?.credential.userId;
    throw new AuthError("rate_limited", { retryAfterSeconds: error.retryAfterSeconds ?? 1, userId });
  });
}

/** Refused before the input was checked, or without a verdict on it: the caller has learned nothing. */
const refundsGuess: ReadonlySet<string> = new Set([
  "overloaded",
  "conflict",
  "unavailable",
  "invalid_format",
]);

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
    if (error instanceof AuthError && refundsGuess.has(error.code))
      await guess?.refund().catch(() => undefined);
    throw error;
  }
}

/** The device that begins a flow. A token that is not good is like none. */
export function deviceOf(
  { devices }: Pick<ChargingTools, "devices">,
  token: string | undefined,
): NonNullable<Flow["device"]> | null {
  const device = token === undefined ? undefined : devices.read(token);
  return device === undefined ? null : { id: device.id, accounts: [...device.accounts] };
}

/** The token of the device on which the guess was right. */
export function issueDeviceToken(
  { devices }: Pick<ChargingTools, "devices">,
  { device }: Pick<Flow, "device">,
  { account }: Guess,
): string {
  return devices.issue(account, device ?? undefined);
}

/** Gives the device its token with the end of the login. */
export function withDeviceToken(step: FlowStep, deviceToken: (() => string) | undefined): FlowStep {
  if (step.type !== "create_entry" || deviceToken === undefined) return step;
  return { ...step, device_token: deviceToken() };
}
