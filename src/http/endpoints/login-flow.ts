import { Compile } from "typebox/compile";
import { LoginFlowInput, LoginFlowRequest } from "../../../protocol/http.ts";
import type { Authority } from "../../auth/authority.ts";
import { isClientId } from "../../auth/clients/client-id.ts";
import { AuthError } from "../../auth/errors.ts";
import type { FlowAnswer } from "../../auth/login/login-flows.ts";
import { json } from "../answers.ts";
import { readJsonOfAnyType } from "../body.ts";
import type { HttpResponse } from "../endpoint.ts";
import type { Endpoint } from "../exchange.ts";

export interface LoginFlowOptions {
  readonly authority: Pick<Authority, "logins">;
  readonly maxBodyBytes: number;
}

const startRequest = Compile(LoginFlowRequest);
const stepRequest = Compile(LoginFlowInput);

/*
 * Home Assistant's login over HTTP, on the engine of the socket. A flow is bound to the address that started it: its id
 * is all that the client has. It gives a code for the redirect URI of its start.
 */

/** `POST /auth/login_flow` begins a flow. Client id and redirect URI are checked before anything is shown. */
export function startFlowEndpoint({ authority, maxBodyBytes }: LoginFlowOptions): Endpoint {
  return async (exchange) => {
    const body = await exchange.timed(() => readJsonOfAnyType(exchange.request, maxBodyBytes, startRequest));
    const { client_id: clientId, redirect_uri: redirectUri, handler, code_challenge: codeChallenge } = body;
    const links = body.type === "link_user";
    if (links && codeChallenge !== undefined)
      throw new AuthError("invalid_format", { detail: "a code challenge for a code that links" });
    const request = {
      handler,
      purpose: links ? "link_code" : "code",
      claimedBy: "address",
      clientId,
      clientName: null,
      redirectUri,
      codeChallenge: codeChallenge ?? null,
      scope: body.scope,
      resource: body.resource,
      nonce: body.nonce,
      acrValues: body.acr_values,
      maxAge: body.max_age,
      requestUri: body.request_uri,
    } as const;
    return stepAnswer(await authority.logins.start(request, exchange.peer));
  };
}

/**
 * `POST /auth/login_flow/{id}` fills in the form. At a step that waits for something outside the input is ignored, and
 * the answer is the step as it is now: HTTP has no push.
 */
export function flowStepEndpoint({ authority, maxBodyBytes }: LoginFlowOptions): Endpoint {
  return async (exchange) => {
    const body = await exchange.timed(() => readJsonOfAnyType(exchange.request, maxBodyBytes, stepRequest));
    const { client_id: clientId, ...input } = body as LoginFlowInput & Readonly<Record<string, unknown>>;
    if (!isClientId(clientId)) throw new AuthError("invalid_client");
    const { peer, parameters } = exchange;
    const { logins } = authority;
    const claim = logins.addressClaim(parameters.id ?? "", peer);
    try {
      // A proof that is relayed here would be bound to no connection.
      const step = await logins.advance({ ...claim, input, clientId, fieldsOnly: true }, peer);
      return stepAnswer(step);
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      if (error.code === "not_supported") return stepAnswer(await logins.resume(claim, peer));
      if (error.code !== "invalid_format") throw error;
      throw new AuthError("invalid_format", { publicMessage: "User input malformed", cause: error });
    }
  };
}

/** `DELETE /auth/login_flow/{id}`. */
export function cancelFlowEndpoint({ authority }: Pick<LoginFlowOptions, "authority">): Endpoint {
  return async ({ peer, parameters }) => {
    const { logins } = authority;
    await logins.cancel(logins.addressClaim(parameters.id ?? "", peer));
    return json({ message: "Flow aborted" });
  };
}

/** Home Assistant's clients have never seen a secret, a token of a device, or another way to answer a form. */
function stepAnswer({ step }: FlowAnswer): HttpResponse {
  const {
    flow_secret: _,
    device_token: __,
    mechanisms: ___,
    send_password: ____,
    ...shown
  } = step as typeof step & {
    readonly flow_secret?: string;
    readonly device_token?: string;
    readonly mechanisms?: readonly string[];
    readonly send_password?: true;
  };
  return json(shown);
}
