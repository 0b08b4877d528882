import type { TokenResponse } from "../../../protocol/http.ts";
import type { Authority } from "../../auth/authority.ts";
import { allows } from "../../auth/clients/scopes.ts";
import { AuthError } from "../../auth/errors.ts";
import type { Peer } from "../../auth/model.ts";
import type { TokenGrant } from "../../auth/sessions/sessions.ts";
import { expiresIn } from "../../auth/sessions/token-grant.ts";
import { json, neverStored } from "../answers.ts";
import type { Form } from "../body.ts";
import type { HttpResponse } from "../endpoint.ts";
import { type HttpDecision, type HttpObserver, reasonOf } from "../observer.ts";
import type { RequestingClient } from "../requesting-client.ts";

/** A request at the token endpoint whose client has authenticated, as far as it must. */
export interface GrantRequest {
  readonly form: Form;
  readonly client: RequestingClient | undefined;
  readonly peer: Peer;
}

type About = Pick<HttpDecision, "grant" | "address" | "clientId">;

/** 200 of the token endpoint. `ha_auth_provider` is on answers to codes, as in Home Assistant. */
export async function tokenAnswer(
  authority: Pick<Authority, "idTokens" | "users">,
  { client }: Pick<GrantRequest, "client">,
  grant: TokenGrant & { readonly nonce?: string | null },
  withProvider: boolean,
): Promise<HttpResponse> {
  const { session, accessToken, refreshToken } = grant;
  const getsRefreshToken = client?.registered?.grantTypes.includes("refresh_token") ?? true;
  const body: TokenResponse = {
    access_token: accessToken,
    token_type: "Bearer",
    expires_in: expiresIn(grant),
    ...(refreshToken === undefined || !getsRefreshToken ? {} : { refresh_token: refreshToken }),
    ...(session.scope == null ? {} : { scope: session.scope }),
    ...(withProvider && session.providerType !== null ? { ha_auth_provider: session.providerType } : {}),
  };
  // Only who asked for scopes gets an ID token.
  if (session.scope == null || !allows(session.scope, "openid") || session.type === "system")
    return json(body, { headers: neverStored });
  const user = await authority.users.current(session.userId);
  if (user === undefined) throw new AuthError("access_denied", { detail: "the user was removed" });
  const idToken = await authority.idTokens.mint(session, user, { accessToken, nonce: grant.nonce ?? null });
  return json({ ...body, id_token: idToken }, { headers: neverStored });
}

/** Runs one grant, and records its outcome once. */
export async function decided<Grant extends TokenGrant>(
  observer: HttpObserver,
  about: About,
  decide: () => Promise<Grant>,
): Promise<Grant> {
  try {
    const grant = await decide();
    const { id: sessionId, userId, clientId } = grant.session;
    observer.decided({ ...about, event: "token_granted", userId, sessionId, clientId });
    return grant;
  } catch (error) {
    recordRefusal(observer, about, error);
    throw error;
  }
}

export function recordRefusal(observer: HttpObserver, about: About, error: unknown): void {
  observer.decided({ ...about, event: "token_refused", ...reasonOf(error) });
}
