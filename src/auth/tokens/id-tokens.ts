import { hash, randomBytes } from "node:crypto";

import { allows } from "../clients/scopes.ts";
import type { Clock } from "../clock/clock.ts";
import type { Session, User } from "../model.ts";
import type { Keyring, KeyringKeys } from "./keyring.ts";

/**
 * What the gateway tells clients in JWTs. Signed with the keys of access tokens; the `typ` of the header differs, so
 * none is taken for an access token.
 */
export interface IdTokens {
  /**
   * The ID token (OpenID Connect Core section 2) for the client of a session. `nonce`: of the authorization request;
   * null at a refresh, where it is left out.
   */
  mint(
    session: Session,
    user: User,
    about: { readonly accessToken: string; readonly nonce: string | null },
  ): Promise<string>;
  /** Says that a session has ended (OpenID Connect Back-Channel Logout section 2.4); without `sid`, all of the user. */
  mintLogout(logout: {
    readonly clientId: string;
    readonly userId: string;
    readonly sessionId: string | null;
  }): Promise<string>;
}

export interface IdTokenOptions {
  readonly keyring: KeyringKeys & Pick<Keyring, "reload">;
  readonly clock: Clock;
  readonly issuer: () => string;
}

/** Clients check it when they get it. */
const lifeSeconds = 600;
const logoutLifeSeconds = 120;
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout";

export function createIdTokens({ keyring, clock, issuer }: IdTokenOptions): IdTokens {
  const signed = async (typ: string, life: number, claims: object) => {
    if (!keyring.canSign()) await keyring.reload();
    const { kid, sign } = keyring.signingKey();
    const now = Math.floor(clock.now() / 1000);
    const all = { iss: issuer(), iat: now, exp: now + life, ...claims };
    const input = `${segment({ alg: "ES256", typ, kid })}.${segment(all)}`;
    return `${input}.${sign(input)}`;
  };
  return {
    mint: (session, user, { accessToken, nonce }) =>
      signed("JWT", lifeSeconds, {
        aud: session.clientId,
        auth_time: Math.floor(session.authenticatedAt / 1000),
        amr: session.amr,
        acr: session.assurance === 2 ? "aal2" : "aal1",
        sid: session.id,
        at_hash: halfHash(accessToken),
        ...(nonce === null ? {} : { nonce }),
        ...userClaims(user, session.scope),
      }),
    mintLogout: ({ clientId, userId, sessionId }) =>
      signed("logout+jwt", logoutLifeSeconds, {
        aud: clientId,
        sub: userId,
        ...(sessionId === null ? {} : { sid: sessionId }),
        jti: randomBytes(16).toString("base64url"),
        events: { [logoutEvent]: {} },
      }),
  };
}

/** What a scope tells of a user (OpenID Connect Core section 5.4): in an ID token, and at `/auth/userinfo`. */
export function userClaims(user: User, scope: string | null | undefined): Readonly<Record<string, unknown>> {
  return {
    sub: user.id,
    ...(allows(scope, "profile") && user.name !== null ? { name: user.name } : {}),
    ...(allows(scope, "groups") ? { groups: user.groupIds } : {}),
  };
}

/** OpenID Connect Core section 3.1.3.6. */
function halfHash(token: string): string {
  return hash("sha256", token, "buffer").subarray(0, 16).toString("base64url");
}

function segment(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
