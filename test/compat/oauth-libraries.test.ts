import { createRemoteJWKSet, type JWTVerifyOptions, jwtVerify } from "jose";
import * as oauth from "oauth4webapi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { codeOf } from "../support/authorization-code.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { passportLogin } from "./passport-login.ts";
import { simpleOauth2Login } from "./simple-oauth2-login.ts";

const callback = "https://app.example/callback";
const backend = "https://backend.example/api";

describe.each(["ws", "uws"] as const)("OAuth libraries on %s", (transport) => {
  let gateway: RunningGateway;
  let secret: string;
  beforeAll(async () => {
    gateway = await startGateway({ transport, store: "embedded" });
    const made = await gateway.authority.clients.register({
      id: "library",
      name: "Library",
      authMethod: "client_secret",
      jwks: null,
      redirectUris: [callback],
      grantTypes: ["authorization_code", "refresh_token"],
      scopes: ["openid", "profile", "api", "orders:read"],
      resources: [backend],
      userId: null,
      requiresPushedRequests: false,
      logoutUri: null,
      rotates: true,
    });
    secret = made.secret ?? "";
  });
  afterAll(() => gateway.stop());

  const app = () => ({
    url: gateway.url,
    clientId: "library",
    secret,
    callback,
    codeAt: (address: URL) => codeOf(gateway, address),
  });

  it("passport-oauth2 logs in with PKCE", async () => {
    const tokens = await passportLogin(app());
    expect(tokens).toMatchObject({ accessToken: expect.any(String), refreshToken: expect.any(String) });
    expect(tokens.parameters).toMatchObject({ token_type: "Bearer", scope: "openid profile" });
  });

  it("simple-oauth2 logs in, refreshes, and revokes", async () => {
    const { first, refreshed, afterRevocation } = await simpleOauth2Login(app());
    expect(first).toMatchObject({ token_type: "Bearer", scope: "openid api" });
    expect(refreshed).toMatchObject({ token_type: "Bearer", scope: "openid api" });
    expect(afterRevocation).toMatchObject({
      output: { statusCode: 400 },
      data: { payload: { error: "invalid_grant" } },
    });
  });

  it("oauth4webapi takes an access token for the audience that was asked for, and for no other", async () => {
    const { accessToken } = await passportLogin({ ...app(), resource: backend });
    const issuer = new URL(gateway.url);
    const insecure = { [oauth.allowInsecureRequests]: true };
    const found = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: "oauth2" });
    const server = await oauth.processDiscoveryResponse(issuer, found);
    const request = new Request(backend, { headers: { authorization: `Bearer ${accessToken}` } });
    const claims = await oauth.validateJwtAccessToken(server, request, backend, insecure);
    expect(claims).toMatchObject({ sub: gateway.owner.id, client_id: "library", aud: backend });
    await expect(
      oauth.validateJwtAccessToken(server, request, "https://other.example/", insecure),
    ).rejects.toThrow();
  });

  it("jose, which caches the keys, refuses no token across a rotation under load", async () => {
    const leadMs = 1500;
    // A third of the lead, and no look in between: as a verifier that caches for 10 minutes at a lead of 15.
    const keys = { cacheMaxAge: leadMs / 3, cooldownDuration: 3_600_000 };
    const jwks = createRemoteJWKSet(new URL(`${gateway.url}/.well-known/jwks.json`), keys);
    const rules = { issuer: gateway.url, typ: "at+jwt", algorithms: ["ES256"] };
    const kids = new Set([await kidOf(await accessTokens(app()).next(), jwks, rules)]);
    await gateway.authority.keyring.rotate({ leadMs });
    const load = async () => {
      const tokens = accessTokens(app());
      for (let after = 0; after < 20; after += kids.size > 1 ? 1 : 0)
        kids.add(await kidOf(await tokens.next(), jwks, rules));
    };
    await Promise.all(Array.from({ length: 4 }, load));
    expect(kids.size).toBe(2);
  });
});

/** A login, and then refreshes without end. */
async function* accessTokens(app: Parameters<typeof simpleOauth2Login>[0]): AsyncGenerator<string, never> {
  const { first } = await simpleOauth2Login({ ...app, keeps: true });
  let { refresh_token: refreshToken = "" } = first;
  for (;;) {
    const answer = await fetch(`${app.url}/auth/token`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(`${app.clientId}:${app.secret}`).toString("base64")}` },
      body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: refreshToken }),
    });
    const tokens = (await answer.json()) as { readonly access_token: string; readonly refresh_token: string };
    refreshToken = tokens.refresh_token;
    yield tokens.access_token;
  }
}

async function kidOf(
  { value }: IteratorResult<string>,
  jwks: ReturnType<typeof createRemoteJWKSet>,
  rules: JWTVerifyOptions,
): Promise<string> {
  const { protectedHeader } = await jwtVerify(String(value), jwks, rules);
  return protectedHeader.kid ?? "";
}
