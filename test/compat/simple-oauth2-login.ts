import { AuthorizationCode } from "simple-oauth2";

import type { LibraryApp } from "./passport-login.ts";

export interface SimpleTokens {
  readonly first: Readonly<Record<string, string>>;
  readonly refreshed: Readonly<Record<string, string>>;
  /** What a refresh is refused with after the revocation. */
  readonly afterRevocation: unknown;
}

/** A login with simple-oauth2; unless the app `keeps` it, its refresh and its end. */
export async function simpleOauth2Login(
  app: LibraryApp & { readonly keeps?: boolean },
): Promise<SimpleTokens> {
  const client = new AuthorizationCode({
    client: { id: app.clientId, secret: app.secret },
    auth: {
      tokenHost: app.url,
      tokenPath: "/auth/token",
      authorizePath: "/auth/authorize",
      revokePath: "/auth/revoke",
    },
  });
  const address = client.authorizeURL({ redirect_uri: app.callback, scope: "openid api", state: "opaque" });
  const code = await app.codeAt(new URL(address));
  const token = await client.getToken({ code, redirect_uri: app.callback });
  if (app.keeps === true) return { first: token.token, refreshed: {}, afterRevocation: undefined };
  const next = await token.refresh();
  await next.revokeAll();
  const afterRevocation = await next.refresh().catch((error: unknown) => error);
  return { first: token.token, refreshed: next.token, afterRevocation };
}
