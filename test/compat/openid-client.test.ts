import { exportJWK, generateKeyPair } from "jose";
import * as oidc from "openid-client";
import { afterEach, describe, expect, it } from "vitest";

import { codeOf } from "../support/authorization-code.ts";
import { type RunningGateway, startGateway, storeKinds, transportNames } from "../support/gateway.ts";

const callback = "https://app.example/callback";
const backend = "https://backend.example/api";

const running: RunningGateway[] = [];
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop();
});

async function start(transport: "ws" | "uws", store: "embedded" | "redis"): Promise<RunningGateway> {
  const gateway = await startGateway({ transport, store });
  running.push(gateway);
  return gateway;
}

const registration = {
  id: "grafana",
  name: "Grafana",
  authMethod: "client_secret",
  jwks: null,
  redirectUris: [callback],
  grantTypes: ["authorization_code", "refresh_token"],
  scopes: ["openid", "profile", "groups", "api", "orders:read"],
  resources: [backend],
  userId: null,
  requiresPushedRequests: false,
  logoutUri: null,
  rotates: true,
} as const;

async function discovered(
  gateway: RunningGateway,
  clientId: string,
  authentication: oidc.ClientAuth,
): Promise<oidc.Configuration> {
  const described = await fetch(`${gateway.url}/.well-known/openid-configuration`);
  const { issuer } = (await described.json()) as { readonly issuer: string };
  // Nodes that share a store have an issuer which is not their address.
  const atGateway = (address: string, init: object) => fetch(address.replace(issuer, gateway.url), init);
  return await oidc.discovery(new URL(issuer), clientId, undefined, authentication, {
    execute: [oidc.allowInsecureRequests],
    [oidc.customFetch]: atGateway,
  });
}

/** A login in the browser, and its return to the app. */
async function loggedIn(
  gateway: RunningGateway,
  config: oidc.Configuration,
  address: URL,
  checks: oidc.AuthorizationCodeGrantChecks,
) {
  const code = await codeOf(gateway, address);
  const back = new URL(callback);
  const { state } = Object.fromEntries(address.searchParams);
  const issuer = config.serverMetadata().issuer;
  back.search = new URLSearchParams({
    code,
    iss: issuer,
    ...(state === undefined ? {} : { state }),
  }).toString();
  return await oidc.authorizationCodeGrant(config, back, checks);
}

const combinations = transportNames.flatMap((transport) =>
  storeKinds.map((store) => [transport, store] as const),
);

describe.each(combinations)("openid-client 6 on %s with the %s store", (transport, store) => {
  it("goes through code with PKCE, userinfo, refresh, introspection and revocation", async () => {
    const gateway = await start(transport, store);
    const { secret } = await gateway.authority.clients.register(registration);
    const config = await discovered(gateway, "grafana", oidc.ClientSecretBasic(secret ?? ""));
    const verifier = oidc.randomPKCECodeVerifier();
    const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
    const address = oidc.buildAuthorizationUrl(config, {
      redirect_uri: callback,
      scope: "openid profile groups orders:read unknown",
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
    });
    const tokens = await loggedIn(gateway, config, address, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
    const { sub = "", name, groups } = tokens.claims() ?? { sub: "", name: "", groups: "" };
    expect({ sub, name, groups }).toEqual({ sub: gateway.owner.id, name: "Paula", groups: ["system-admin"] });
    expect(tokens.scope).toBe("openid profile groups orders:read");
    expect(await oidc.fetchUserInfo(config, tokens.access_token, sub)).toMatchObject({ sub, name: "Paula" });

    const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token ?? "", { scope: "openid" });
    expect(refreshed).toMatchObject({ scope: "openid" });
    expect(refreshed.claims()?.sub).toBe(sub);
    const before = await oidc.tokenIntrospection(config, refreshed.access_token);
    expect(before).toMatchObject({ active: true, sub, client_id: "grafana", scope: "openid" });
    await oidc.tokenRevocation(config, refreshed.access_token);
    expect(await oidc.tokenIntrospection(config, refreshed.access_token)).toEqual({ active: false });
    await expect(oidc.refreshTokenGrant(config, refreshed.refresh_token ?? "")).rejects.toMatchObject({
      error: "invalid_grant",
      status: 400,
    });
  });

  it("pushes its request, with a key instead of a secret, for a backend's audience", async () => {
    const gateway = await start(transport, store);
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const jwks = { keys: [await exportJWK(publicKey)] };
    await gateway.authority.clients.register({
      ...registration,
      authMethod: "private_key_jwt",
      jwks,
      requiresPushedRequests: true,
    });
    const config = await discovered(gateway, "grafana", oidc.PrivateKeyJwt(privateKey));
    const verifier = oidc.randomPKCECodeVerifier();
    const parameters = {
      redirect_uri: callback,
      scope: "openid orders:read",
      resource: backend,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    };
    const address = await oidc.buildAuthorizationUrlWithPAR(config, parameters);
    expect([...address.searchParams.keys()].sort()).toEqual(["client_id", "request_uri"]);
    const tokens = await loggedIn(gateway, config, address, {
      pkceCodeVerifier: verifier,
      idTokenExpected: true,
    });
    const claims = JSON.parse(Buffer.from(tokens.access_token.split(".")[1] ?? "", "base64url").toString());
    expect(claims).toMatchObject({ aud: backend, scope: "openid orders:read", client_id: "grafana" });
    // It is for the backend alone.
    await expect(oidc.fetchUserInfo(config, tokens.access_token, claims.sub)).rejects.toMatchObject({
      status: 401,
    });
    // A pushed request gives one code.
    await expect(codeOf(gateway, address)).rejects.toThrow("invalid_request_uri");
  });

  it("gets tokens for itself", async () => {
    const gateway = await start(transport, store);
    const { user } = await gateway.authority.systemUsers.create({ name: "metrics" });
    const { secret } = await gateway.authority.clients.register({
      ...registration,
      grantTypes: ["client_credentials"],
      userId: user.id,
    });
    const config = await discovered(gateway, "grafana", oidc.ClientSecretPost(secret ?? ""));
    const first = await oidc.clientCredentialsGrant(config, { scope: "api" });
    const second = await oidc.clientCredentialsGrant(config, { scope: "orders:read", resource: backend });
    expect(first).toMatchObject({ scope: "api", token_type: "bearer" });
    expect(first.refresh_token).toBeUndefined();
    const [one, two] = await Promise.all(
      [first, second].map((each) => oidc.tokenIntrospection(config, each.access_token)),
    );
    expect(one).toMatchObject({ active: true, sub: user.id, scope: "api", session_type: "system" });
    expect(two).toMatchObject({
      active: true,
      sub: user.id,
      scope: "orders:read",
      aud: backend,
      sid: one?.sid,
    });
    await gateway.authority.clients.remove("grafana");
    await expect(oidc.clientCredentialsGrant(config, {})).rejects.toMatchObject({ error: "invalid_client" });
  });
});
