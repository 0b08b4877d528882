import { isRegisteredId } from "../clients/client-id.ts";
import type { RegisteredClient } from "../clients/client-record.ts";
import { knownScopes, scopesIn } from "../clients/scopes.ts";
import { AuthError } from "../errors.ts";
import type { Session } from "../model.ts";
import type { RefreshRequest } from "./refresh.ts";

type Asked = Pick<RefreshRequest, "clientId" | "sessionId" | "resource" | "clientAuthenticated">;

/**
 * Why this client may not refresh the session now. `client` is the session's client as it is registered at this moment: it
 * may do less than when the session was opened, or be another one of the same id.
 */
export function refusalOfClient(
  session: Session,
  client: RegisteredClient | undefined,
  asked: Asked,
): AuthError | undefined {
  const { resource = null } = session;
  if (!isOfClient(session, asked)) return new AuthError("invalid_client");
  if (asked.resource !== undefined && asked.resource !== resource) return new AuthError("invalid_target");
  if (asked.clientAuthenticated !== true) {
    // Whoever has got hold of its refresh token could use it without the secret.
    if (client !== undefined && client.authMethod !== "none") return new AuthError("invalid_client");
    // A socket cannot be authenticated by a token for somebody else.
    if (resource !== null) return new AuthError("invalid_target");
  }
  if (session.clientId === null || !isRegisteredId(session.clientId)) return undefined;
  if (client === undefined) return new AuthError("invalid_client");
  if (!client.grantTypes.includes("refresh_token")) return new AuthError("unauthorized_client");
  return resource === null || client.resources.includes(resource)
    ? undefined
    : new AuthError("invalid_target");
}

/** In band the socket belongs to the session, which is stronger evidence than a client id. */
function isOfClient(session: Session, { clientId, sessionId }: Asked): boolean {
  if (sessionId !== undefined && clientId === undefined) return true;
  return (clientId ?? null) === session.clientId;
}

/**
 * The scope of the next access token: what the session has, or fewer of it if the request says so, and never more than the
 * client has now. Undefined: more than the session has, or nothing is left.
 */
export function grantableScope(
  { scope = null }: Session,
  client: RegisteredClient | undefined,
  requested: string | undefined,
): string | null | undefined {
  const granted = client === undefined ? scope : presentScope(scope, client);
  if (requested === undefined) return granted === "" ? undefined : granted;
  const asked = scopesIn(requested);
  const allowed = granted === null ? knownScopes : scopesIn(granted);
  return asked.length > 0 && asked.every((each) => allowed.includes(each)) ? asked.join(" ") : undefined;
}

function presentScope(scope: string | null, { scopes }: RegisteredClient): string {
  const had = scope === null ? scopes : scopesIn(scope);
  return had.filter((each) => scopes.includes(each)).join(" ");
}
