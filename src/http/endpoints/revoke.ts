import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import type { Peer } from "../../auth/model.ts";
import { empty } from "../answers.ts";
import { type Form, readForm } from "../body.ts";
import type { Endpoint } from "../exchange.ts";
import type { HttpObserver } from "../observer.ts";

export interface RevokeOptions {
  readonly authority: Authority;
  readonly observer: HttpObserver;
}

/**
 * `POST /auth/revoke` (RFC 7009): 200 and no content, whether or not the token was valid. 503 if the session could
 * not be ended now. Whoever holds a refresh token may end its session. An access token is not accepted.
 */
export function revokeEndpoint(options: RevokeOptions & { maxBodyBytes: number }): Endpoint {
  return async ({ request, peer, timed }) => {
    const form = await timed(() => formOrNothing(request, options.maxBodyBytes));
    await endSessionOf(form, peer, options);
    return empty();
  };
}

/** A form that cannot be read holds no token. */
async function formOrNothing(request: Request, maxBytes: number): Promise<Form> {
  try {
    return await readForm(request, maxBytes);
  } catch (error) {
    if (error instanceof AuthError && error.code === "invalid_format") return new Map();
    throw error;
  }
}

/** Ends the session of the form's `token`. Resolves when that is durable and this node has closed its sockets. */
export async function endSessionOf(form: Form, peer: Peer, options: RevokeOptions): Promise<void> {
  const token = form.get("token");
  const session =
    token === undefined ? undefined : await options.authority.sessions.findByRefreshToken(token);
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
