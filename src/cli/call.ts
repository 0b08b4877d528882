import type { FlowStep, FormStep } from "../../protocol/flow.ts";
import { AuthError } from "../auth/errors.ts";
import { GatewayClient, type StepUpRequest } from "../client/index.ts";
import { longLivedToken } from "../client/token-store.ts";
import { otherVariables } from "../server/config/variables.ts";
import { requireGatewayAddress } from "./gateway-address.ts";
import { type Ask, answerFactorForm, isFactorForm } from "./login-factor.ts";
import { nextStep, refusal, waitingText } from "./login-steps.ts";
import { type Output, UsageError } from "./output.ts";

export interface CallOptions {
  readonly url: string;
  /** The type of a command, as in the protocol. */
  readonly type: string;
  /** Its fields, as a JSON object. */
  readonly fields: string | undefined;
  readonly accessToken: string | undefined;
  /** The login name for another login. Without it the person is asked. */
  readonly username: string | undefined;
  /** Asks the person without echo. Without a terminal nobody logs in again. */
  readonly ask: Ask;
  /** The same, with echo. */
  readonly askOpenly: Ask;
}

/**
 * Carries out one command of the protocol at a running gateway and prints its result. If its person has to log in again, it
 * asks for that at the terminal, and goes on. Throws `UsageError`.
 */
export async function call(options: CallOptions, output: Output): Promise<void> {
  const { url, type, accessToken, ask } = options;
  if (accessToken === undefined || accessToken === "")
    throw new UsageError(`put an access token into the environment variable ${otherVariables.accessToken}`);
  const fields = fieldsIn(options.fields);
  requireGatewayAddress(url);
  let failure: unknown;
  const client = new GatewayClient({
    url,
    tokens: longLivedToken(accessToken),
    ...(ask === undefined
      ? {}
      : {
          onStepUp: async (request) => {
            await logInAgain(request, options, output).catch(async (error: unknown) => {
              failure = error;
              await request.cancel();
            });
          },
        }),
  });
  try {
    await client.connect();
    const result: unknown = await client.call(type as "ping", fields as Record<string, never>);
    output.result(result, JSON.stringify(result, undefined, 2));
  } catch (error) {
    throw failure ?? error;
  } finally {
    client.close();
  }
}

function fieldsIn(text: string | undefined): object {
  if (text === undefined) return {};
  try {
    const fields: unknown = JSON.parse(text);
    if (typeof fields === "object" && fields !== null && !Array.isArray(fields)) return fields;
  } catch {
    // Said below, without what was given: it may be a secret.
  }
  throw new UsageError("the fields of the command are no JSON object");
}

async function logInAgain(request: StepUpRequest, options: CallOptions, output: Output): Promise<void> {
  output.notice("Log in again for this.");
  const provider = await chosen(request, options, output);
  const flow = await request.start([provider.type, provider.id]);
  let step: FlowStep = flow.step;
  while (!flow.done) {
    if (step.type === "external" || step.type === "progress") {
      output.notice(waitingText(step));
      step = await nextStep(flow, step);
    } else if (isFactorForm(step))
      step = await flow.submit(await answerFactorForm(step, options.ask, output));
    else if (isPasswordForm(step)) step = await flow.submit(await passwordFor(step, options, output));
    else throw refusal(step);
  }
  if (step.type === "abort") throw refusal(step);
}

async function chosen({ providers }: StepUpRequest, { askOpenly }: CallOptions, output: Output) {
  const [first] = providers;
  if (first === undefined) throw new AuthError("invalid_handler");
  if (providers.length === 1) return first;
  output.notice(providers.map(({ name }, place) => `${place + 1}: ${name}`).join("\n"));
  const answer = Number(await askOpenly?.("How: "));
  const provider = providers[answer - 1];
  if (provider === undefined) throw new UsageError("there is no such way to log in");
  return provider;
}

function isPasswordForm(step: FlowStep): step is FormStep {
  return (
    step.type === "form" && step.data_schema.every(({ name }) => name === "username" || name === "password")
  );
}

async function passwordFor(
  { errors, data_schema }: FormStep,
  { ask, askOpenly, username }: CallOptions,
  output: Output,
) {
  if (errors.base === "invalid_auth") output.notice("Invalid username or password.");
  const input: Record<string, string> = {};
  for (const { name } of data_schema)
    input[name] =
      (name === "password" ? await ask?.("Password: ") : (username ?? (await askOpenly?.("Username: ")))) ??
      "";
  return input;
}
