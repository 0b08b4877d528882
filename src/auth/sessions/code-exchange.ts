import type { RegisteredClient } from "../clients/client-record.ts";
import { isRegisteredRedirect } from "../clients/client-rules.ts";
import { AuthError } from "../errors.ts";
import { type Assurance, isBelow } from "../factors/assurance.ts";
import type { Peer } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { mergeSteps, type Step } from "../store.ts";
import type { AuthorizationCodes, CodeGrant } from "../tokens/authorization-codes.ts";
import { refuseBlockedUser } from "../users/account-status.ts";
import type { Credentials } from "../users/credentials.ts";
import type { Users } from "../users/users.ts";
import { belowDemand } from "./open-session.ts";
import type { Sessions, TokenGrant } from "./sessions.ts";

export interface CodeExchangeTools {
  readonly codes: Pick<AuthorizationCodes, "redeem">;
  readonly users: Pick<Users, "read">;
  readonly credentials: Pick<Credentials, "get">;
  readonly sessions: Pick<Sessions, "open">;
  readonly assurance: Pick<Assurance, "demandOn">;
}

export interface CodeExchange {
  readonly code: string;
  readonly clientId: string;
  /** The client of this id, if it is registered. It may have less now than at the login. */
  readonly client?: RegisteredClient | undefined;
  readonly codeVerifier?: string | undefined;
  /** If present, it must equal the redirect URI of the login (RFC 6749 section 4.1.3). */
  readonly redirectUri?: string | undefined;
  /** If present, it must be the one of the login (RFC 8707 section 2.2). */
  readonly resource?: string | null | undefined;
  /** Whether the session rotates its refresh token. */
  readonly rotates: boolean;
  readonly peer: Peer;
}

/** The session, and the nonce of the authorization request for the ID token. */
export interface CodeSession extends TokenGrant {
  readonly refreshToken: string;
  readonly nonce: string | null;
}

/** How often a redemption is tried if its commit is in conflict. */
const maxAttempts = 3;

/**
 * Opens a session for an authorization code (RFC 6749 section 4.1.3). One commit opens it, marks the code as used,
 * and checks that the user, the credential and the user's epoch have not changed since the login: a code from before
 * a password change opens nothing. On a conflict everything is read again. If another request has used the code
 * meanwhile, this is its second use, which ends the session of the first one. Throws `invalid_code`, `access_denied`,
 * `conflict`.
 */
export async function openSessionForCode(
  tools: CodeExchangeTools,
  request: CodeExchange,
): Promise<CodeSession> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openOnce(tools, request);
    } catch (error) {
      if (!(error instanceof AuthError) || error.code !== "conflict" || attempt === maxAttempts) throw error;
    }
  }
}

async function openOnce(tools: CodeExchangeTools, request: CodeExchange): Promise<CodeSession> {
  const { rotates, peer, client } = request;
  const { grant, consume } = await tools.codes.redeem(request);
  if (client !== undefined && !isRegisteredRedirect(client, grant.redirectUri ?? ""))
    throw new AuthError("invalid_code", { detail: "the client has the redirect URI of the login no longer" });
  if (request.resource != null && request.resource !== grant.resource) throw new AuthError("invalid_target");
  const providerSession = grant.providerSession?.name;
  const opened = await openForGrant(tools, { grant, providerSession, rotates, peer, consume });
  return { ...opened, nonce: grant.nonce ?? null };
}

export interface GrantedLogin {
  readonly grant: Omit<CodeGrant, "redirectUri" | "codeChallenge" | "providerSession" | "nonce">;
  /** See `Session`. */
  readonly providerSession: string | null | undefined;
  readonly rotates: boolean;
  readonly peer: Peer;
  /** The part of the commit that uses the grant up. */
  readonly consume: (sessionId: string) => Step;
}

/**
 * Opens a session for a login that was granted before, if nothing has ended that login since. Throws `invalid_code` if
 * something has, `access_denied`, `conflict`.
 */
export async function openForGrant(
  tools: Omit<CodeExchangeTools, "codes">,
  { grant, providerSession, rotates, peer, consume }: GrantedLogin,
): Promise<TokenGrant & { readonly refreshToken: string }> {
  const found = await tools.users.read(grant.userId);
  const login = await tools.credentials.get(grant.credentialId);
  if (found === undefined || login === undefined)
    throw new AuthError("invalid_code", { detail: "the user or the credential was removed since the login" });
  refuseBlockedUser(found.user, peer);
  if (found.epoch !== grant.userEpoch)
    throw new AuthError("invalid_code", { detail: "all sessions of the user ended since the login" });
  if (isBelow(grant, await tools.assurance.demandOn(grant.userId))) throw belowDemand("invalid_code");
  const unchanged = { key: recordKeys.credential(grant.credentialId), version: login.version };
  return await tools.sessions.open({
    user: found.user,
    userVersion: found.version,
    userEpoch: found.epoch,
    credential: login.credential,
    clientId: grant.clientId,
    clientName: grant.clientName,
    rotates,
    assurance: grant.assurance,
    amr: grant.amr,
    authenticatedAt: grant.authenticatedAt,
    providerSession,
    scope: grant.scope,
    resource: grant.resource,
    peer,
    also: (sessionId) => mergeSteps(consume(sessionId), { check: [unchanged] }),
  });
}
