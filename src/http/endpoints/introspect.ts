import type { IntrospectionResponse } from "../../../protocol/http.ts";
import type { Authority } from "../../auth/authority.ts";
import type { RegisteredClient } from "../../auth/clients/client-record.ts";
import { allows } from "../../auth/clients/scopes.ts";
import { AuthError } from "../../auth/errors.ts";
import type { Peer, Principal } from "../../auth/model.ts";
import { isAdmin } from "../../auth/users/users.ts";
import { json } from "../answers.ts";
import { bearerOf } from "../bearer.ts";
import { type Form, readForm } from "../body.ts";
import type { HttpRequest } from "../endpoint.ts";
import type { Endpoint, Exchange } from "../exchange.ts";
import { registeredClient } from "../requesting-client.ts";

export interface IntrospectOptions {
  readonly authority: Pick<Authority, "authentication" | "users" | "clientAuthentication" | "sessions">;
  readonly maxBodyBytes: number;
}

/** Whom the answer is for. An administrator or a service may ask about every access token. */
type Caller = "anybody's" | RegisteredClient;

const inactive: IntrospectionResponse = { active: false };

/**
 * `POST /auth/introspect` (RFC 7662): whether a token is good at this moment, so that a backend learns of a revocation
 * before the token's `exp`. The caller is a service with a `system` token, an administrator, or a registered client
 * that authenticates: that one may ask about its own tokens, refresh tokens included, and about tokens for its
 * resources. A token that is not good, or is none of the caller's, is `{active: false}`, whatever is wrong with it. 503 if
 * nothing can be said now.
 */
export function introspectEndpoint(options: IntrospectOptions): Endpoint {
  return async (exchange) => {
    if (bearerOf(exchange.request) !== undefined)
      await requireCaller(options, exchange.request, exchange.peer);
    const form = await exchange.timed(() => readForm(exchange.request, options.maxBodyBytes));
    const caller = await callerOf(options, exchange, form);
    const token = form.get("token");
    if (token === undefined) throw new AuthError("invalid_format", { publicMessage: "token is missing" });
    return json(await introspect(options, token, exchange.peer, caller));
  };
}

/** Throws `unauthorized` for a caller without a good token, and `access_denied` for one who may not ask. */
async function requireCaller(
  { authority }: IntrospectOptions,
  request: HttpRequest,
  peer: Peer,
): Promise<void> {
  const token = bearerOf(request);
  const verdict = token === undefined ? undefined : await authority.authentication.authenticate(token, peer);
  if (verdict?.ok !== true)
    throw new AuthError("unauthorized", { detail: "introspection without a good token" });
  const { userId, sessionType, scope, policy } = verdict.principal;
  const user = await authority.users.current(userId);
  if (user === undefined || policy !== null || !(sessionType === "system" || isAdmin(user)))
    throw new AuthError("access_denied", { detail: "introspection by somebody who is no service" });
  if (!allows(scope, "api")) throw new AuthError("insufficient_scope");
}

async function callerOf(
  { authority }: IntrospectOptions,
  { request }: Exchange,
  form: Form,
): Promise<Caller> {
  if (bearerOf(request) !== undefined) return "anybody's";
  const isClient =
    request.headers.get("authorization") !== undefined ||
    form.has("client_id") ||
    form.has("client_assertion");
  if (!isClient) throw new AuthError("unauthorized", { detail: "introspection without a token or a client" });
  const client = await registeredClient(authority, request, form);
  // Whoever knows a public client's id could ask.
  if (client.authMethod === "none")
    throw new AuthError("invalid_client_authentication", { detail: "introspection by a public client" });
  return client;
}

/** The address of whoever presented the token is not known here, so rules for addresses are not judged. */
async function introspect(
  { authority }: IntrospectOptions,
  token: string,
  peer: Peer,
  caller: Caller,
): Promise<IntrospectionResponse> {
  const verdict = await authority.authentication.inspect(token, peer);
  const isElsewhere = !verdict.ok && verdict.close === "address_not_allowed";
  if (!verdict.ok && !isElsewhere)
    return caller === "anybody's" ? inactive : await introspectRefreshToken(authority, token, caller);
  const claims = claimsOf(token);
  const isCallers =
    caller === "anybody's" || claims.client_id === caller.id || caller.resources.includes(claims.aud ?? "");
  if (!isCallers) return inactive;
  return { active: true, ...claims, local_only: !verdict.ok || isLocalOnly(verdict.principal) };
}

function isLocalOnly({ localOnly, judgedBy }: Principal): boolean {
  return localOnly || judgedBy !== null;
}

async function introspectRefreshToken(
  { sessions }: Pick<Authority, "sessions">,
  token: string,
  client: RegisteredClient,
): Promise<IntrospectionResponse> {
  const session = await sessions.findByGoodRefreshToken(token);
  if (session?.clientId !== client.id) return inactive;
  return {
    active: true,
    client_id: client.id,
    sub: session.userId,
    sid: session.id,
    session_type: session.type,
    ...(session.scope == null ? {} : { scope: session.scope }),
    ...(session.expiresAt === null ? {} : { exp: Math.floor(session.expiresAt / 1000) }),
  };
}

/** Of a token that was verified: RFC 9068's claims, and those of the session. */
function claimsOf(token: string): Omit<IntrospectionResponse, "active" | "local_only"> {
  const [, payload = ""] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  const { iss, aud, sub, client_id, scope, iat, exp, jti, sid, auth_time, amr, acr, gatehouse } = claims;
  const { session_type } = gatehouse;
  return {
    token_type: "Bearer",
    iss,
    aud,
    sub,
    client_id,
    ...(scope === undefined ? {} : { scope }),
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
