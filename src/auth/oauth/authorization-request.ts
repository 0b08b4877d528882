import type { GrantType } from "../../../protocol/commands/clients.ts";
import { isRegisteredId, verifyClientId, verifyRedirectUri } from "../clients/client-id.ts";
import type { ClientPages } from "../clients/client-page.ts";
import type { RegisteredClient } from "../clients/client-record.ts";
import { isRedirectUri, isRegisteredRedirect } from "../clients/client-rules.ts";
import type { RegisteredClients } from "../clients/registered-clients.ts";
import { isScope, knownScopes, narrowedScopes, scopesIn } from "../clients/scopes.ts";
import { AuthError } from "../errors.ts";
import type { AssuranceLevel } from "../model.ts";
import { acrOf, assuranceLevels } from "../sessions/recent-login.ts";
import { isCodeChallenge } from "../tokens/authorization-codes.ts";
import type { PushedRequests } from "./pushed-requests.ts";

/**
 * What a client asks for, before it is checked (RFC 6749 section 4.1.1, RFC 7636, RFC 8707, OpenID Connect Core
 * 3.1.2.1).
 */
export interface AuthorizationRequest {
  readonly clientId: string | null;
  readonly redirectUri: string | null;
  /** PKCE, S256. */
  readonly codeChallenge: string | null;
  readonly scope: string | null;
  readonly resource: string | null;
  readonly nonce: string | null;
  /** RFC 9470 section 4: assurance levels that will do. */
  readonly acrValues?: string | null | undefined;
  /** How long ago the person may have authenticated, s. */
  readonly maxAge?: number | null | undefined;
}

/** The same, allowed: `scope` is what will be granted; null is everything. */
export interface AllowedRequest extends AuthorizationRequest {
  readonly client: RegisteredClient | undefined;
}

/** See `StartLogin.purpose`. Only the flows for a code of either kind send somebody back. */
type Purpose = "session" | "code" | "link" | "link_code" | "step_up";

export interface RequestTools {
  readonly clients: Pick<RegisteredClients, "find">;
  readonly pushed: Pick<PushedRequests, "read">;
  readonly clientPages: ClientPages;
}

/**
 * Checks the client's request before anybody types a password. A code needs a client id and a redirect URI that is
 * allowed for it. A session may name its client, and a redirect URI only together with it. Throws `invalid_client`,
 * `unauthorized_client`, `invalid_redirect_uri`, `invalid_format`, `invalid_scope`, `invalid_target`,
 * `unmet_authentication_requirements`.
 */
export async function checkRequest(
  { clients, clientPages }: Pick<RequestTools, "clients" | "clientPages">,
  purpose: Purpose,
  request: AuthorizationRequest,
): Promise<AllowedRequest> {
  const { clientId, redirectUri, codeChallenge } = request;
  const forCode = purpose === "code" || purpose === "link_code";
  const isUrl = clientId !== null && verifyClientId(clientId);
  const client = clientId === null || isUrl ? undefined : await clients.find(clientId);
  if (clientId === null ? forCode : !isUrl && client === undefined) throw new AuthError("invalid_client");
  const redirectFits =
    redirectUri === null
      ? !forCode
      : clientId !== null && (await fitsRedirect(clientPages, client, clientId, redirectUri));
  if (!redirectFits) throw new AuthError("invalid_redirect_uri");
  if (codeChallenge !== null && !isCodeChallenge(codeChallenge))
    throw new AuthError("invalid_format", { publicMessage: "The code challenge is not an S256 one." });
  if (client !== undefined) requireUse(client, purpose, codeChallenge);
  // A socket that is authenticated by a token for somebody else is a contradiction.
  if (purpose !== "code" && request.resource !== null) throw new AuthError("invalid_target");
  levelAskedFor(request);
  const { scope, resource } = wishesOf(client, request);
  return { ...request, scope, resource, client };
}

/**
 * What was allowed when a flow began, as it is allowed at its end: a registered client may have been removed, or may do
 * less, since. The caller's commit checks `clientChecks`. Throws like `checkRequest`.
 */
export async function stillAllowed(
  tools: Pick<RequestTools, "clients" | "clientPages">,
  purpose: Purpose,
  request: AuthorizationRequest,
): Promise<AllowedRequest> {
  const { clientId } = request;
  if (clientId === null || !isRegisteredId(clientId)) return { ...request, client: undefined };
  return await checkRequest(tools, purpose, request);
}

/**
 * The least assurance level of the request's `acr_values`, any of which will do; undefined if it has none. Throws
 * `unmet_authentication_requirements` if none of them is known.
 */
export function levelAskedFor({ acrValues }: AuthorizationRequest): AssuranceLevel | undefined {
  const wanted = (acrValues ?? "").split(" ").filter((value) => value !== "");
  if (wanted.length === 0) return undefined;
  const level = assuranceLevels.find((each) => wanted.includes(acrOf(each)));
  if (level === undefined) throw new AuthError("unmet_authentication_requirements");
  return level;
}

async function fitsRedirect(
  clientPages: ClientPages,
  client: RegisteredClient | undefined,
  clientId: string,
  redirectUri: string,
): Promise<boolean> {
  if (client !== undefined) return isRegisteredRedirect(client, redirectUri);
  if (verifyRedirectUri(clientId, redirectUri)) return true;
  return isRedirectUri(redirectUri) && (await clientPages.redirectUris(clientId)).includes(redirectUri);
}

function requireUse(client: RegisteredClient, purpose: Purpose, codeChallenge: string | null): void {
  requireGrantType(client, purpose === "session" ? "login" : "authorization_code");
  // RFC 9700 section 2.1.1: without it whoever sees a public client's code redeems it.
  if (purpose === "code" && client.authMethod === "none" && codeChallenge === null)
    throw new AuthError("invalid_format", {
      publicMessage: "A public client needs a code challenge (PKCE).",
    });
}

/** Throws `unauthorized_client`. */
export function requireGrantType({ grantTypes }: RegisteredClient, grantType: GrantType): void {
  if (!grantTypes.includes(grantType)) throw new AuthError("unauthorized_client");
}

/**
 * The scopes and the audience that a request gets. A client that nobody registered may narrow its tokens by scopes,
 * and gets everything if it names none, as Home Assistant's clients. Throws `invalid_scope`, `invalid_target`.
 */
export function wishesOf(
  client: RegisteredClient | undefined,
  { scope, resource }: Pick<AuthorizationRequest, "scope" | "resource">,
): { readonly scope: string | null; readonly resource: string | null } {
  if (scope !== null && !scopesIn(scope).every(isScope)) throw new AuthError("invalid_scope");
  if (resource !== null && client?.resources.includes(resource) !== true)
    throw new AuthError("invalid_target");
  if (client === undefined && scope === null) return { scope, resource };
  const granted = narrowedScopes(scope, client?.scopes ?? knownScopes);
  if (granted === undefined) throw new AuthError("invalid_scope");
  return { scope: granted, resource };
}
