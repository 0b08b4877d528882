import type { IntrospectionResponse } from "../../../protocol/http.ts";
import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import type { Peer, Principal } from "../../auth/model.ts";
import { isAdmin } from "../../auth/users/users.ts";
import { json } from "../answers.ts";
import { bearerOf } from "../bearer.ts";
import { readForm } from "../body.ts";
import type { Endpoint } from "../exchange.ts";

export interface IntrospectOptions {
  readonly authority: Pick<Authority, "authentication" | "users">;
  readonly maxBodyBytes: number;
}

/**
 * `POST /auth/introspect` (RFC 7662): whether an access token is good at this moment, so that a backend learns of a
 * revocation before the token's `exp`. The caller is a service with a `system` token, or an administrator. A token that
 * is not good is `{active: false}`, whatever is wrong with it; so is a refresh token. 503 if nothing can be said now.
 */
export function introspectEndpoint(options: IntrospectOptions): Endpoint {
  return async (exchange) => {
    await requireCaller(options, exchange.request, exchange.peer);
    const form = await exchange.timed(() => readForm(exchange.request, options.maxBodyBytes));
    const token = form.get("token");
    if (token === undefined) throw new AuthError("invalid_format", { publicMessage: "token is missing" });
    return json(await introspect(options, token, exchange.peer));
  };
}

/** Throws `unauthorized` for a caller without a good token, and `access_denied` for one who may not ask. */
async function requireCaller({ authority }: IntrospectOptions, request: Request, peer: Peer): Promise<void> {
  const token = bearerOf(request);
  const verdict = token === undefined ? undefined : await authority.authentication.authenticate(token, peer);
  if (verdict?.ok !== true)
    throw new AuthError("unauthorized", { detail: "introspection without a good token" });
  const { userId, sessionType } = verdict.principal;
  const user = await authority.users.current(userId);
  if (user === undefined || !(sessionType === "system" || isAdmin(user)))
    throw new AuthError("access_denied", { detail: "introspection by somebody who is no service" });
}

/** The address of whoever presented the token is not known here, so rules for addresses are not judged. */
async function introspect(
  { authority }: IntrospectOptions,
  token: string,
  caller: Peer,
): Promise<IntrospectionResponse> {
  const verdict = await authority.authentication.authenticate(token, caller);
  if (verdict.ok) return described(token, verdict.principal);
  const isElsewhere = verdict.close === "address_not_allowed";
  return isElsewhere ? { active: true, ...claimsOf(token), local_only: true } : { active: false };
}

function described(token: string, { localOnly, judgedBy }: Principal): IntrospectionResponse {
  return { active: true, ...claimsOf(token), local_only: localOnly || judgedBy !== null };
}

/** Of a token that was verified: RFC 9068's claims, and those of the session. */
function claimsOf(token: string): Omit<IntrospectionResponse, "active" | "local_only"> {
  const [, payload = ""] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  const { iss, aud, sub, client_id, iat, exp, jti, sid, auth_time, amr, acr, gatehouse } = claims;
  const { session_type } = gatehouse;
  return {
    token_type: "Bearer",
    iss,
    aud,
    sub,
    client_id,
    iat,
    exp,
    jti,
    sid,
    auth_time,
    amr,
    acr,
    session_type,
  };
}
