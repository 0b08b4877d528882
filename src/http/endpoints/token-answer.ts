import type { TokenResponse } from "../../../protocol/http.ts";
import { AuthError } from "../../auth/errors.ts";
import type { TokenGrant } from "../../auth/sessions/sessions.ts";
import { expiresIn } from "../../auth/sessions/token-grant.ts";
import { json, neverStored } from "../answers.ts";
import type { HttpDecision, HttpObserver } from "../observer.ts";

/** 200 of the token endpoint. */
export function tokenAnswer(grant: TokenGrant, withProvider: boolean): Response {
  const { session, accessToken, refreshToken } = grant;
  const body: TokenResponse = {
    access_token: accessToken,
    token_type: "Bearer",
    expires_in: expiresIn(grant),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    ...(withProvider && session.providerType !== null ? { ha_auth_provider: session.providerType } : {}),
  };
  return json(body, { headers: neverStored });
}

/** Runs one grant, and records its outcome once. */
export async function decided(
  observer: HttpObserver,
  about: Pick<HttpDecision, "grant" | "address" | "clientId">,
  decide: () => Promise<TokenGrant>,
): Promise<TokenGrant> {
  try {
    const grant = await decide();
    const { id: sessionId, userId, clientId } = grant.session;
    observer.decided({ ...about, event: "token_granted", userId, sessionId, clientId });
    return grant;
  } catch (error) {
    const known = error instanceof AuthError ? error : undefined;
    const detail = known?.detail === undefined ? {} : { detail: known.detail };
    observer.decided({ ...about, event: "token_refused", reason: known?.code ?? "unknown_error", ...detail });
    throw error;
  }
}
