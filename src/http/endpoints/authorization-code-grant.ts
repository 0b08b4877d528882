import type { Authority } from "../../auth/authority.ts";
import { verifyClientId } from "../../auth/clients/client-id.ts";
import type { Clock } from "../../auth/clock.ts";
import { AuthError } from "../../auth/errors.ts";
import { isLocalAddress } from "../../auth/local-address.ts";
import type { Peer, User } from "../../auth/model.ts";
import type { TokenGrant } from "../../auth/sessions/sessions.ts";
import type { VersionedUser } from "../../auth/users/users.ts";
import type { Form } from "../body.ts";
import type { HttpObserver } from "../observer.ts";
import { decided, tokenAnswer } from "./token-answer.ts";

export interface CodeGrantOptions {
  readonly authority: Authority;
  readonly clock: Clock;
  readonly observer: HttpObserver;
  /** Whether a session of this client rotates its refresh token. */
  readonly rotates: (clientId: string) => boolean;
}

interface CodeRequest {
  readonly clientId: string;
  readonly code: string;
  readonly codeVerifier: string | undefined;
}

/** How often a redemption is begun anew because the user changed while it ran. */
const attempts = 3;

/**
 * `grant_type=authorization_code` (RFC 6749 section 4.1.3, RFC 7636), each row of reference 3.4 in its order:
 * client id, code, the user's state; then code and session in one commit.
 */
export async function grantForCode(form: Form, peer: Peer, options: CodeGrantOptions): Promise<Response> {
  const clientId = form.get("client_id") ?? null;
  const about = { grant: "authorization_code", address: peer.address, clientId } as const;
  const grant = await decided(options.observer, about, () => redeem(codeRequest(form), peer, options));
  return tokenAnswer(grant, options.clock, true);
}

function codeRequest(form: Form): CodeRequest {
  const clientId = form.get("client_id");
  if (clientId === undefined || !verifyClientId(clientId)) throw new AuthError("invalid_client");
  const code = form.get("code");
  if (code === undefined) throw new AuthError("invalid_code", { detail: "the code is missing" });
  return { clientId, code, codeVerifier: form.get("code_verifier") };
}

/**
 * The commit that opens the session also marks the code as used and checks the user. On a conflict all of it is read
 * again: a code that somebody else used meanwhile is then seen as used twice, which ends the session it was used for.
 */
async function redeem(request: CodeRequest, peer: Peer, options: CodeGrantOptions): Promise<TokenGrant> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openSession(request, peer, options);
    } catch (error) {
      if (!(error instanceof AuthError) || error.code !== "conflict" || attempt === attempts) throw error;
    }
  }
}

async function openSession(request: CodeRequest, peer: Peer, options: CodeGrantOptions): Promise<TokenGrant> {
  const { codes, credentials, sessions, users } = options.authority;
  const { clientId, code, codeVerifier } = request;
  const { grant, consume } = await codes.redeem({
    code,
    clientId,
    peer,
    ...(codeVerifier === undefined ? {} : { codeVerifier }),
  });
  const found = await users.read(grant.userId);
  const credential = await credentials.get(grant.credentialId);
  if (found === undefined || credential === undefined)
    throw new AuthError("invalid_code", { detail: "the user or the credential was removed meanwhile" });
  refuseBlockedUser(found.user, peer);
  return await sessions.open({
    ...versionsOf(found),
    credential,
    clientId,
    clientName: grant.clientName,
    rotates: options.rotates(clientId),
    assurance: grant.assurance,
    amr: grant.amr,
    authenticatedAt: grant.authenticatedAt,
    peer,
    also: consume,
  });
}

function versionsOf({ user, version, epoch }: VersionedUser) {
  return { user, userVersion: version, userEpoch: epoch };
}

/** Home Assistant's texts (reference 3.2). */
function refuseBlockedUser(user: User, peer: Peer): void {
  if (!user.isActive) throw new AuthError("access_denied", { publicMessage: "User is not active" });
  if (user.localOnly && !isLocalAddress(peer.address))
    throw new AuthError("access_denied", { publicMessage: "User cannot authenticate remotely" });
}
