import { createHash } from "node:crypto";

import { allows } from "../clients/scopes.ts";
import type { Clock } from "../clock/clock.ts";
import type { Session, User } from "../model.ts";
import type { Keyring, KeyringKeys } from "./keyring.ts";

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
}

export interface IdTokenOptions {
  readonly keyring: KeyringKeys & Pick<Keyring, "reload">;
  readonly clock: Clock;
  readonly issuer: () => string;
}

/** Clients check it when they get it. */
const lifeSeconds = 600;

/** Signed with the keys of access tokens. The `typ` of the header differs, so none is taken for an access token. */
export function createIdTokens({ keyring, clock, issuer }: IdTokenOptions): IdTokens {
  return {
    async mint(session, user, { accessToken, nonce }) {
      if (!keyring.canSign()) await keyring.reload();
      const { kid, sign } = keyring.signingKey();
      const now = Math.floor(clock.now() / 1000);
      const claims = {
        iss: issuer(),
        aud: session.clientId,
        iat: now,
        exp: now + lifeSeconds,
        auth_time: Math.floor(session.authenticatedAt / 1000),
        amr: session.amr,
        acr: session.assurance === 2 ? "aal2" : "aal1",
        sid: session.id,
        at_hash: halfHash(accessToken),
        ...(nonce === null ? {} : { nonce }),
        ...userClaims(user, session.scope),
      };
      const signed = `${segment({ alg: "ES256", typ: "JWT", kid })}.${segment(claims)}`;
      return `${signed}.${sign(signed)}`;
    },
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
  return createHash("sha256").update(token).digest().subarray(0, 16).toString("base64url");
}

function segment(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
