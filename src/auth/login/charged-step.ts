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
 * Charges a guess if the input is one; undefined if not. Before, nothing is looked up but the version of the name's secret, if a
 * token of a device is shown, so an unknown name is refused like a known one. `atOnce`: it is charged with its verdict. Throws
 * `rate_limited`, and so may the guess then.
 */
export async function chargeStep(
  { throttle, devices, credentials }: ChargingTools,
  { provider, atOnce }: { readonly provider: LoginProvider; readonly atOnce: boolean },
  flow: Pick<Flow, "step" | "device" | "providerState">,
  input: FormInput,
  peer: Peer,
): Promise<Guess | undefined> {
  const { type, id } = provider;
  const name = provider.guessedName?.(flow.step.stepId, input, flow.providerState);
  if (name === undefined) return undefined;
  const account = { provider: [type, id], name } as const;
  const { device } = flow;
  const secretVersion =
    device == null ? undefined : await provider.secretVersion?.(flow.step.stepId, input, flow.providerState);
  const deviceId = device && devices.knows(device, { ...account, secretVersion }) ? device.id : undefined;
  const refuse = (error: unknown): never => {
    if (!(error instanceof AuthError) || error.code !== "rate_limited") throw error;
    const userId = async () => (await credentials.find(type, id, name))?.credential.userId;
    throw new AuthError("rate_limited", { retryAfterSeconds: error.retryAfterSeconds ?? 1, userId });
  };
  const charging = atOnce
    ? throttle.chargeWithVerdict(account, peer, deviceId)
    : throttle.charge(account, peer, deviceId);
  const guess = await charging.catch(refuse);
  return { ...guess, judged: (isRight) => guess.judged(isRight).catch(refuse) };
}

/** Refused before the input was checked, or without a verdict on it: the caller has learned nothing. */
const refundsGuess: ReadonlySet<string> = new Set([
  "overloaded",
  "conflict",
  "unavailable",
  "invalid_format",
]);

/**
 * Runs the step of a guess, and tells the guess its verdict. Refunds the charge if the step was not carried out; a failed
 * refund only delays later attempts. Throws `rate_limited` if the guess is charged with its verdict and none is left by then:
 * nobody learns the verdict.
 */
export async function runCharged<Tried extends { readonly step: ProviderStep }>(
  guess: Guess | undefined,
  work: () => Promise<Tried>,
): Promise<Tried> {
  const tried = await work().catch(async (error: unknown) => {
    const isUntried = error instanceof AuthError && refundsGuess.has(error.code);
    await (isUntried ? guess?.refund() : guess?.judged(false))?.catch(() => undefined);
    throw error;
  });
  await guess?.judged(tried.step.kind === "done");
  return tried;
}

/** The device that begins a flow. A token that is not good is like none. */
export function deviceOf(
  { devices }: Pick<ChargingTools, "devices">,
  token: string | undefined,
): NonNullable<Flow["device"]> | null {
  const device = token === undefined ? undefined : devices.read(token);
  return device === undefined ? null : { id: device.id, accounts: [...device.accounts] };
}

/** The token of the device on which the guess was right. `secretVersion`: of the secret that was guessed. */
export function issueDeviceToken(
  { devices }: Pick<ChargingTools, "devices">,
  { device }: Pick<Flow, "device">,
  { account }: Guess,
  secretVersion: string | undefined,
): string {
  return devices.issue({ ...account, secretVersion }, device ?? undefined);
}

/** Gives the device its token with the end of the login. */
export function withDeviceToken(step: FlowStep, deviceToken: (() => string) | undefined): FlowStep {
  if (step.type !== "create_entry" || deviceToken === undefined) return step;
  return { ...step, device_token: deviceToken() };
}
