import type { Params } from "../../protocol/commands/index.ts";
import { AuthError } from "../auth/errors.ts";
import type { StartLogin } from "../auth/login/login-flows.ts";

type Message = Params<"auth/login/start">;

/** What an `auth/login/start` asks for. Throws `invalid_format` for one half of a mechanism and its first message. */
export function requestOf(message: Message): StartLogin {
  return {
    handler: message.handler,
    purpose: message.for ?? "session",
    clientId: message.client_id ?? null,
    clientName: message.client_name ?? null,
    redirectUri: message.redirect_uri ?? null,
    codeChallenge: message.code_challenge ?? null,
    scope: message.scope,
    resource: message.resource,
    nonce: message.nonce,
    acrValues: message.acr_values,
    maxAge: message.max_age,
    requestUri: message.request_uri,
    deviceToken: message.device_token,
    initial: initialOf(message),
  };
}

function initialOf({ mechanism, initial_response: response }: Message): StartLogin["initial"] {
  if (mechanism !== undefined && response !== undefined) return { mechanism, response };
  if (mechanism === undefined && response === undefined) return undefined;
  throw new AuthError("invalid_format", { detail: "mechanism and initial_response belong together" });
}
