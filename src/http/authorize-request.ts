import { Compile } from "typebox/compile";

import { LoginFlowRequest } from "../../protocol/http.ts";
import { AuthError } from "../auth/errors.ts";
import { checkStart } from "../auth/login/start-rules.ts";

/** RFC 6749 section 4.1.1, with PKCE. `state` is the page's own matter: it goes back as it came. */
export interface AuthorizeRequest {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly codeChallenge: string | null;
}

type Check = (parameters: URLSearchParams) => void;

/** The lengths that a login takes. */
const login = Compile(LoginFlowRequest);

/**
 * What must hold before anything is shown, in this order. Who fails gets a page of ours, and is never sent on: anybody may
 * name any client, so even an error at a redirect URI that fits would make the gateway send people wherever a link says
 * (RFC 9700 section 4.11.2).
 */
export const authorizeChecks: readonly (readonly [rule: string, check: Check])[] = [
  [
    "no parameter twice (RFC 6749 section 3.1)",
    (parameters) => {
      const names = [...parameters.keys()];
      if (new Set(names).size !== names.length) throw wrong("A parameter is there twice");
    },
  ],
  [
    "client id, redirect URI and code challenge are allowed",
    (parameters) => {
      const { clientId, redirectUri, codeChallenge } = requestIn(parameters);
      checkStart({
        purpose: "code",
        handler: ["", null],
        clientId,
        clientName: null,
        redirectUri,
        codeChallenge,
      });
    },
  ],
  [
    "a login takes them",
    (parameters) => {
      const { clientId, redirectUri } = requestIn(parameters);
      const request = { client_id: clientId, redirect_uri: redirectUri, handler: ["", null] };
      if (!login.Check(request)) throw wrong("The client id or the redirect URI is too long");
    },
  ],
  [
    "the response is a code",
    (parameters) => {
      if (parameters.get("response_type") !== "code") throw wrong("response_type is not code");
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
];

/** Throws `invalid_client`, `invalid_redirect_uri` or `invalid_format`. */
export function authorizeRequest(parameters: URLSearchParams): AuthorizeRequest {
  for (const [, check] of authorizeChecks) check(parameters);
  const { clientId, redirectUri, codeChallenge } = requestIn(parameters);
  if (clientId === null || redirectUri === null) throw new AuthError("invalid_client");
  return { clientId, redirectUri, codeChallenge };
}

function requestIn(parameters: URLSearchParams) {
  return {
    clientId: parameters.get("client_id"),
    redirectUri: parameters.get("redirect_uri"),
    codeChallenge: parameters.get("code_challenge"),
  };
}

function wrong(publicMessage: string): AuthError {
  return new AuthError("invalid_format", { publicMessage });
}
