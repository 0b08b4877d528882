import { Compile } from "typebox/compile";

import { LoginFlowRequest } from "../../protocol/http.ts";
import type { RegisteredClient } from "../auth/clients/client-record.ts";
import { AuthError } from "../auth/errors.ts";
import {
  type AuthorizationRequest,
  checkRequest,
  type RequestTools,
} from "../auth/oauth/authorization-request.ts";

/** RFC 6749 section 4.1.1, with PKCE, scopes, RFC 8707 and RFC 9126: checked and allowed. */
export interface AuthorizeRequest extends AuthorizationRequest {
  readonly clientId: string;
  readonly redirectUri: string;
  /** The client that an administrator has registered. */
  readonly client: RegisteredClient | undefined;
  /** Goes back to the client as it came. */
  readonly state: string | null;
  /** Of a pushed request, which all of this comes from. */
  readonly requestUri: string | null;
  readonly prompt: string | null;
}

type Check = (parameters: URLSearchParams) => void;

/** The lengths that a login takes. */
const login = Compile(LoginFlowRequest);

/**
 * What must hold before anything is looked up or shown, in this order. Who fails gets a page of ours, and is never sent
 * on: anybody may name any client, so even an error at a redirect URI that fits would make the gateway send people
 * wherever a link says (RFC 9700 section 4.11.2).
 */
export const authorizeChecks: readonly (readonly [rule: string, check: Check])[] = [
  ["no parameter twice (RFC 6749 section 3.1)", requireEachOnce],
  [
    "no request object (OpenID Connect Core section 6)",
    (parameters) => {
      if (parameters.has("request")) throw wrong("Request objects are not supported: push the request");
    },
  ],
  [
    "a login takes client id and redirect URI",
    (parameters) => {
      const { clientId, redirectUri } = requestIn(parameters);
      if (clientId === null) throw new AuthError("invalid_client");
      const request = { client_id: clientId, redirect_uri: redirectUri ?? "-", handler: ["", null] };
      if (!login.Check(request)) throw wrong("The client id or the redirect URI is too long");
    },
  ],
  [
    "the response is a code, in the query",
    (parameters) => {
      if (parameters.get("response_type") !== "code") throw wrong("response_type is not code");
      if ((parameters.get("response_mode") ?? "query") !== "query") throw wrong("response_mode is not query");
    },
  ],
  [
    "PKCE is S256 (RFC 7636 section 4.3: without a method it would be plain)",
    (parameters) => {
      const method = parameters.has("code_challenge") ? "S256" : null;
      if (parameters.get("code_challenge_method") !== method)
        throw wrong("code_challenge_method is not S256, or there is no code_challenge");
    },
  ],
  [
    "nonce, state, scope, resource, acr_values and prompt have a length that can be kept",
    (parameters) => {
      const tooLong = ["nonce", "scope", "resource", "acr_values", "prompt"].some(
        (name) => (parameters.get(name) ?? "").length > 512,
      );
      if (tooLong || (parameters.get("state") ?? "").length > 4096) throw wrong("A parameter is too long");
    },
  ],
  [
    "max_age is a number of seconds (OpenID Connect Core section 3.1.2.1)",
    (parameters) => {
      if (!/^\d{1,9}$/.test(parameters.get("max_age") ?? "0"))
        throw wrong("max_age is not a number of seconds");
    },
  ],
];

/**
 * The request in the parameters of the page, or the one that was pushed. Throws `invalid_client`,
 * `invalid_redirect_uri`, `invalid_format`, `invalid_request_uri`, and what `checkRequest` does.
 */
export async function authorizeRequest(
  tools: RequestTools,
  parameters: URLSearchParams,
): Promise<AuthorizeRequest> {
  const requestUri = parameters.get("request_uri");
  if (requestUri === null) return await checkedRequest(tools, parameters);
  requireEachOnce(parameters);
  const clientId = parameters.get("client_id");
  if (clientId === null) throw new AuthError("invalid_client");
  const { consume: _, ...pushed } = await tools.pushed.read(requestUri, clientId);
  const allowed = await checkRequest(tools, "code", pushed);
  return { ...pushed, ...allowed, clientId, redirectUri: pushed.redirectUri, requestUri };
}

/** The request in the parameters of the page, or of what a client pushes. */
export async function checkedRequest(
  tools: Pick<RequestTools, "clients" | "clientPages">,
  parameters: URLSearchParams,
): Promise<AuthorizeRequest> {
  for (const [, check] of authorizeChecks) check(parameters);
  const request = requestIn(parameters);
  const allowed = await checkRequest(tools, "code", request);
  const { clientId, redirectUri } = request;
  if (clientId === null || redirectUri === null) throw new AuthError("invalid_client");
  const { state, prompt } = request;
  return { ...allowed, clientId, redirectUri, state, requestUri: null, prompt };
}

function requireEachOnce(parameters: URLSearchParams): void {
  const names = [...parameters.keys()];
  if (new Set(names).size !== names.length) throw wrong("A parameter is there twice");
}

function requestIn(parameters: URLSearchParams) {
  return {
    clientId: parameters.get("client_id"),
    redirectUri: parameters.get("redirect_uri"),
    codeChallenge: parameters.get("code_challenge"),
    scope: parameters.get("scope"),
    resource: parameters.get("resource"),
    nonce: parameters.get("nonce"),
    state: parameters.get("state"),
    prompt: parameters.get("prompt"),
    acrValues: parameters.get("acr_values"),
    maxAge: parameters.has("max_age") ? Number(parameters.get("max_age")) : null,
  };
}

function wrong(publicMessage: string): AuthError {
  return new AuthError("invalid_format", { publicMessage });
}
