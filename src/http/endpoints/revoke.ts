import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import type { Peer, Session } from "../../auth/model.ts";
import { empty, json } from "../answers.ts";
import { type Form, readForm } from "../body.ts";
import type { HttpRequest } from "../endpoint.ts";
import type { Endpoint } from "../exchange.ts";
import type { HttpObserver } from "../observer.ts";
import { type RequestingClient, requestingClient } from "../requesting-client.ts";

export interface RevokeOptions {
  readonly authority: Authority;
  readonly observer: HttpObserver;
}

/**
 * `POST /auth/revoke` (RFC 7009): 200 and no content, whether or not the token was valid. 503 if the session could
 * not be ended now. Whoever holds a refresh token may end its session. A registered client that says who it is may
 * also send an access token, whose session ends, and only ends its own. 401 if its authentication fails.
 */
export function revokeEndpoint(options: RevokeOptions & { maxBodyBytes: number }): Endpoint {
  return async ({ request, peer, timed }) => {
    const form = await timed(() => formOrNothing(request, options.maxBodyBytes));
    const client = await clientOf(options, request, form);
    await endSessionOf(form, peer, options, client);
    // Some OAuth libraries want JSON, where Home Assistant's clients want nothing.
    return client?.registered === undefined ? empty() : json({});
  };
}

/** A form that cannot be read holds no token. */
async function formOrNothing(request: HttpRequest, maxBytes: number): Promise<Form> {
  try {
    return await readForm(request, maxBytes);
  } catch (error) {
    if (error instanceof AuthError && error.code === "invalid_format") return new Map();
    throw error;
  }
}

/** Home Assistant's clients name none, and what they name is not checked. */
async function clientOf(
  { authority }: RevokeOptions,
  request: HttpRequest,
  form: Form,
): Promise<RequestingClient | undefined> {
  try {
    return await requestingClient(authority, request, form);
  } catch (error) {
    if (error instanceof AuthError && error.code === "invalid_client") return undefined;
    throw error;
  }
}

/** Ends the session of the form's `token`. Resolves when that is durable and this node has closed its sockets. */
export async function endSessionOf(
  form: Form,
  peer: Peer,
  options: RevokeOptions,
  client?: RequestingClient,
): Promise<void> {
  const session = await sessionOf(form.get("token"), peer, options, client);
  if (session === undefined) return;
  const { userId, id: sessionId, clientId } = session;
  await options.authority.revocation.revoke(
    { kind: "sessions", userId, sessionIds: [sessionId] },
    "session_revoked",
  );
  options.observer.decided({
    event: "session_revoked",
    address: peer.address,
    userId,
    sessionId,
    clientId,
  });
}

async function sessionOf(
  token: string | undefined,
  peer: Peer,
  { authority }: RevokeOptions,
  client: RequestingClient | undefined,
): Promise<Session | undefined> {
  if (token === undefined) return undefined;
  const byRefreshToken = await authority.sessions.findByRefreshToken(token);
  if (client?.registered === undefined) return byRefreshToken;
  const session = byRefreshToken ?? (await sessionOfAccessToken(authority, token, peer));
  return session?.clientId === client.id ? session : undefined;
}

async function sessionOfAccessToken(
  { authentication, sessions }: Authority,
  token: string,
  peer: Peer,
): Promise<Session | undefined> {
  const verdict = await authentication.inspect(token, peer);
  return verdict.ok ? await sessions.get(verdict.principal.sessionId) : undefined;
}
