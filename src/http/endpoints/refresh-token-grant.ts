import type { Authority } from "../../auth/authority.ts";
import { verifyClientId } from "../../auth/clients/client-id.ts";
import { AuthError } from "../../auth/errors.ts";
import type { Peer } from "../../auth/model.ts";
import type { TokenGrant } from "../../auth/sessions/sessions.ts";
import type { Form } from "../body.ts";
import type { HttpObserver } from "../observer.ts";
import { decided, tokenAnswer } from "./token-answer.ts";

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
  form: Form,
  peer: Peer,
  options: RefreshGrantOptions,
): Promise<Response> {
  const clientId = form.get("client_id") ?? null;
  const about = { grant: "refresh_token", address: peer.address, clientId } as const;
  const grant = await decided(options.observer, about, () => refresh(form, clientId, peer, options));
  return tokenAnswer(grant, false);
}

async function refresh(
  form: Form,
  clientId: string | null,
  peer: Peer,
  options: RefreshGrantOptions,
): Promise<TokenGrant> {
  if (clientId !== null && !verifyClientId(clientId)) throw new AuthError("invalid_client");
  const refreshToken = form.get("refresh_token");
  if (refreshToken === undefined)
    throw new AuthError("invalid_format", { detail: "the refresh token is missing" });
  try {
    return await options.authority.sessions.refresh({ refreshToken, clientId, peer });
  } catch (error) {
    throw ofAnotherClient(error) ?? error;
  }
}

/** As in Home Assistant, the right token from the wrong client is `invalid_request` without a description. */
function ofAnotherClient(error: unknown): AuthError | undefined {
  return error instanceof AuthError && error.code === "invalid_client"
    ? new AuthError("invalid_format", { detail: "the session belongs to another client", cause: error })
    : undefined;
}
