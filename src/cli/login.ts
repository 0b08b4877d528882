import { AuthError } from "../auth/errors.ts";
import { GatewayError } from "../client/errors.ts";
import { GatewayClient } from "../client/gateway-client.ts";
import { createMemoryTokenStore } from "../client/token-store.ts";
import { createMsgpackCodec } from "../codec/msgpack.ts";
import { requireGatewayAddress } from "./gateway-address.ts";
import {
  type Ask,
  answerFactorForm,
  answerNewPasswordForm,
  isFactorForm,
  isNewPasswordForm,
} from "./login-factor.ts";
import { nextStep, refusal, waitingText } from "./login-steps.ts";
import type { Output } from "./output.ts";

export interface LoginOptions {
  readonly url: string;
  readonly clientId?: string | undefined;
  readonly msgpack: boolean;
  readonly handler: readonly [type: string, id: string | null];
  /** Asks for a second factor. */
  readonly ask: Ask;
  /** With name and password, or in a browser at an OpenID provider. */
  readonly by: { readonly username: string; readonly password: string } | "browser";
}

/** Runs a login flow on a socket, as any client would, and prints the tokens. */
export async function login(options: LoginOptions, output: Output): Promise<void> {
  requireGatewayAddress(options.url);
  const tokens = createMemoryTokenStore();
  const client = new GatewayClient({
    url: options.url,
    tokens,
    clientId: options.clientId,
    ...(options.msgpack ? { codec: createMsgpackCodec() } : {}),
  });
  try {
    const { by, handler } = options;
    const flow = await client
      .login({ handler: [...handler], client_name: "gatehouse login" })
      .catch((error: unknown) => {
        throw isUnknownProvider(error) ? unknownProvider(handler) : error;
      });
    let step = by === "browser" ? flow.step : await flow.submit(by);
    for (;;) {
      if (step.type === "external" || step.type === "progress") {
        output.notice(waitingText(step));
        step = await nextStep(flow, step);
      } else if (isNewPasswordForm(step))
        step = await flow.submit(await answerNewPasswordForm(step, options.ask, output));
      else if (isFactorForm(step))
        step = await flow.submit(await answerFactorForm(step, options.ask, output));
      else break;
    }
    if (step.type !== "create_entry" || typeof step.result === "string") throw refusal(step);
    const { result } = step;
    const lines = [
      `access_token   ${result.access_token}`,
      `refresh_token  ${result.refresh_token}`,
      `expires_in     ${result.expires_in}`,
      `session_id     ${result.session_id}`,
    ];
    output.result(result, lines.join("\n"));
  } finally {
    client.close();
  }
}

function isUnknownProvider(error: unknown): boolean {
  return error instanceof GatewayError && error.code === "invalid_handler";
}

function unknownProvider([type, id]: LoginOptions["handler"]): AuthError {
  const which = id === null ? `${type} without an id` : `${type} with the id ${id}`;
  return new AuthError("invalid_handler", { publicMessage: `The gateway has no provider ${which}` });
}
