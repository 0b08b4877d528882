import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import { requireGrantType } from "../../auth/oauth/authorization-request.ts";
import type { TokenGrant } from "../../auth/sessions/sessions.ts";
import type { HttpResponse } from "../endpoint.ts";
import type { HttpObserver } from "../observer.ts";
import { decided, type GrantRequest, tokenAnswer } from "./token-answer.ts";

export interface RefreshGrantOptions {
  readonly authority: Authority;
  readonly observer: HttpObserver;
}

/**
 * `grant_type=refresh_token` (RFC 6749 section 6). The checks are in Home Assistant's order: the client id if there
 * is one, the presence of the token, the token, its client, the user. The answer has a new refresh token only if the
 * session rotates: Home Assistant's clients keep their first one.
 */
export async function grantForRefreshToken(
  request: GrantRequest,
  options: RefreshGrantOptions,
): Promise<HttpResponse> {
  const { client, peer } = request;
  const about = { grant: "refresh_token", address: peer.address, clientId: client?.id ?? null };
  const grant = await decided(options.observer, about, () => refresh(request, options));
  return await tokenAnswer(options.authority, request, grant, false);
}

async function refresh(
  { form, client, peer }: GrantRequest,
  { authority }: RefreshGrantOptions,
): Promise<TokenGrant> {
  if (client?.registered !== undefined) requireGrantType(client.registered, "refresh_token");
  const refreshToken = form.get("refresh_token");
  if (refreshToken === undefined)
    throw new AuthError("invalid_format", { detail: "the refresh token is missing" });
  const [scope, resource] = [form.get("scope"), form.get("resource")];
  try {
    return await authority.sessions.refresh({
      refreshToken,
      clientId: client?.id ?? null,
      scope,
      resource,
      clientAuthenticated: true,
      peer,
    });
  } catch (error) {
    throw ofAnotherClient(error, client?.registered !== undefined) ?? error;
  }
}

/**
 * As in Home Assistant, the right token from the wrong client is `invalid_request` without a description. A registered
 * client reads the code of RFC 6749 section 5.2.
 */
function ofAnotherClient(error: unknown, isRegistered: boolean): AuthError | undefined {
  return error instanceof AuthError && error.code === "invalid_client"
    ? new AuthError(isRegistered ? "invalid_grant" : "invalid_format", {
        detail: "the session belongs to another client",
        cause: error,
      })
    : undefined;
}
