import { AuthError } from "../errors.ts";
import {
  type AllowedRequest,
  type AuthorizationRequest,
  checkRequest,
  type RequestTools,
} from "../oauth/authorization-request.ts";
import type { StartLogin } from "./login-flows.ts";

/**
 * What the client may have, checked before anybody types a password; see `checkRequest`. What a client pushed
 * (RFC 9126) counts instead of what the start says. Throws `invalid_request_uri` too.
 */
export async function allowedStart(tools: RequestTools, request: StartLogin): Promise<AllowedRequest> {
  const { purpose, requestUri } = request;
  const allowed = await checkRequest(tools, purpose, await requested(tools, request));
  if (purpose === "code" && requestUri == null && allowed.client?.requiresPushedRequests === true)
    throw new AuthError("invalid_format", { publicMessage: "This client must push its requests." });
  return allowed;
}

async function requested({ pushed }: RequestTools, request: StartLogin): Promise<AuthorizationRequest> {
  const { purpose, clientId, requestUri } = request;
  if (requestUri != null) {
    if (clientId === null || purpose !== "code") throw new AuthError("invalid_request_uri");
    return await pushed.read(requestUri, clientId);
  }
  const { redirectUri, codeChallenge, scope = null, resource = null, nonce = null } = request;
  const { acrValues, maxAge } = request;
  return { clientId, redirectUri, codeChallenge, scope, resource, nonce, acrValues, maxAge };
}
