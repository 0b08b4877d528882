import { describe, expect, it } from "vitest";

import { AuthError } from "../../src/auth/errors.ts";
import type { Session, User } from "../../src/auth/model.ts";
import { httpUnderTest, issuer, scriptedAuthority } from "./http-under-test.ts";

const user = { id: "u", state: "active", localOnly: false, systemGenerated: false } as User;

describe("documents", () => {
  it("the metadata names what exists", async () => {
    const { body, headers } = await httpUnderTest(scriptedAuthority({})).ask(
      "/.well-known/oauth-authorization-server",
    );
    const clients = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
    const algorithms = ["ES256", "ES384", "RS256", "PS256", "EdDSA"];
    expect(body).toEqual({
      issuer,
      authorization_endpoint: `${issuer}/auth/authorize`,
      authorization_response_iss_parameter_supported: true,
      token_endpoint: `${issuer}/auth/token`,
      token_endpoint_auth_methods_supported: clients,
      token_endpoint_auth_signing_alg_values_supported: algorithms,
      pushed_authorization_request_endpoint: `${issuer}/auth/par`,
      device_authorization_endpoint: `${issuer}/auth/device_authorization`,
      userinfo_endpoint: `${issuer}/auth/userinfo`,
      introspection_endpoint: `${issuer}/auth/introspect`,
      introspection_endpoint_auth_methods_supported: [...clients.slice(1), "Bearer"],
      introspection_endpoint_auth_signing_alg_values_supported: algorithms,
      revocation_endpoint: `${issuer}/auth/revoke`,
      revocation_endpoint_auth_methods_supported: clients,
      revocation_endpoint_auth_signing_alg_values_supported: algorithms,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      response_types_supported: ["code"],
      response_modes_supported: ["query"],
      grant_types_supported: [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:device_code",
      ],
      code_challenge_methods_supported: ["S256"],
      scopes_supported: ["openid", "profile", "groups", "offline_access", "api"],
      claims_supported: expect.arrayContaining(["sub", "name", "nonce"]),
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["ES256"],
      acr_values_supported: ["aal1", "aal2"],
      prompt_values_supported: ["none", "login"],
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
      request_parameter_supported: false,
      request_uri_parameter_supported: false,
      claims_parameter_supported: false,
    });
    expect(headers.get("content-type")).toBe("application/json");
  });

  it("of an issuer with a path are at the root of its host too", async () => {
    const url = `${issuer}/gates/one`;
    const http = httpUnderTest(scriptedAuthority({}), { issuer: () => url, publicUrl: () => url });
    for (const name of ["oauth-authorization-server", "openid-configuration"])
      for (const address of [`/.well-known/${name}/gates/one`, `/.well-known/${name}`])
        expect(await http.ask(address)).toMatchObject({
          status: 200,
          body: {
            issuer: url,
            token_endpoint: `${url}/auth/token`,
            jwks_uri: `${url}/.well-known/jwks.json`,
          },
        });
    expect((await http.ask("/.well-known/oauth-authorization-server/gates")).status).toBe(404);
    const { body } = await http.ask("/");
    expect(body).toMatchObject({
      links: { setup: `${url}/setup`, socket: expect.stringMatching(/^wss:.*\/gates\/one\/api/) },
    });
  });

  it("the JWKS is the keyring's, and may be cached for a while", async () => {
    const keys = [{ kty: "EC", kid: "a" }];
    const http = httpUnderTest(scriptedAuthority({ keyring: { jwks: () => ({ keys }) } }));
    const { body, headers } = await http.ask("/.well-known/jwks.json");
    expect(body).toEqual({ keys });
    expect(headers.get("cache-control")).toBe("public, max-age=300");
  });

  it("the socket's path asks for an upgrade", async () => {
    const answer = await httpUnderTest(scriptedAuthority({})).ask("/api/websocket");
    expect(answer).toMatchObject({ status: 426, body: { code: "upgrade_required" } });
    expect(answer.headers.get("upgrade")).toBe("websocket");
  });

  it("the landing page is a small JSON with links", async () => {
    const { body } = await httpUnderTest(scriptedAuthority({})).ask("/");
    expect(body).toMatchObject({ name: "gatehouse", links: { socket: "wss://auth.example/api/websocket" } });
  });

  it("providers wait for an owner, and are those of the asking address", async () => {
    let required = true;
    const asked: (string | null)[] = [];
    const authority = scriptedAuthority({
      onboarding: { required: async () => required },
      logins: {
        providers: ({ address }) => {
          asked.push(address);
          return [{ type: "homeassistant", id: null, name: "Password" }];
        },
      },
    });
    const http = httpUnderTest(authority);
    expect(await http.ask("/auth/providers")).toMatchObject({
      status: 400,
      body: { message: "Onboarding not finished", code: "onboarding_required" },
    });
    required = false;
    const providers = [{ name: "Password", id: null, type: "homeassistant" }];
    expect((await http.ask("/auth/providers")).body).toEqual({ providers, preselect_remember_me: false });
    expect((await http.ask("/auth/providers", { from: "192.168.1.2" })).body).toEqual({
      providers,
      preselect_remember_me: true,
    });
    expect(asked).toEqual(["198.51.100.7", "192.168.1.2"]);
  });

  it("readiness says why not", async () => {
    const health = {
      live: () => ({ version: "1", transport: "ws", store: "redis", codecs: ["json"] }),
      ready: async () => ({ ready: false, reasons: ["store_unavailable", "draining"] }),
    };
    const http = httpUnderTest(scriptedAuthority({}), { health });
    expect(await http.ask("/readyz")).toMatchObject({
      status: 503,
      body: { ready: false, reasons: ["store_unavailable", "draining"] },
    });
    expect((await http.ask("/healthz")).body).toMatchObject({
      status: "ok",
      version: "1",
      transport: "ws",
      store: "redis",
      codecs: ["json"],
    });
  });
});

describe("the token probe", () => {
  const verdicts = scriptedAuthority({
    authentication: {
      authenticate: (token) =>
        token === "good"
          ? { ok: true, principal: {} as never }
          : { ok: false, close: "auth_invalid", message: "no", reason: "forged" },
    },
  });
  it.each([
    ["Bearer good", 200],
    ["Bearer bad", 401],
    ["bearer good", 401],
    ["Bearer  good", 401],
    ["Basic good", 401],
    ["good", 401],
    ["Bearer", 401],
  ])("answers %j with %i", async (authorization, status) => {
    const http = httpUnderTest(verdicts);
    const answer = await http.ask("/api/", { headers: { authorization } });
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.body).toEqual({ message: "API running." });
    else {
      expect(answer.body).toEqual({ message: "Unauthorized", code: "unauthorized" });
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    }
  });
  it("asks for a token when there is none", async () => {
    expect(await httpUnderTest(verdicts).ask("/api/")).toMatchObject({ status: 401 });
  });

  const signed = (session: Session | undefined, found: User) =>
    scriptedAuthority({
      signedPaths: { verify: async (path) => (path === "/api/?authSig=good" ? "s" : undefined) },
      sessions: { get: async (id) => (id === "s" ? session : undefined) },
      users: { read: async () => ({ user: found, version: 1, epoch: 1 }) },
    });
  const session = { id: "s", userId: "u" } as Session;
  it.each([
    ["a good signature", signed(session, user), "/api/?authSig=good", 200],
    ["a forged one", signed(session, user), "/api/?authSig=bad", 401],
    ["one of an ended session", signed(undefined, user), "/api/?authSig=good", 401],
    [
      "one of a deactivated user",
      signed(session, { ...user, state: "deactivated" }),
      "/api/?authSig=good",
      401,
    ],
    [
      "one of a local user from afar",
      signed(session, { ...user, localOnly: true }),
      "/api/?authSig=good",
      401,
    ],
  ])("takes %s in a signed path: %#", async (_name, authority, path, status) => {
    expect((await httpUnderTest(authority).ask(path)).status).toBe(status);
  });
});

describe("onboarding", () => {
  const owner = {
    setup_code: "code",
    name: "Paula",
    username: "paula",
    password: "correct horse battery",
    client_id: "https://app.example/",
    language: "en",
  };
  const authority = scriptedAuthority({
    onboarding: {
      required: async () => true,
      createOwnerWithCode: async ({ setupCode, username, clientId }) => {
        if (setupCode !== "code") throw new AuthError("invalid_setup_code");
        expect({ username, clientId }).toEqual({ username: "paula", clientId: "https://app.example/" });
        return { user, code: "c0de" };
      },
    },
  });
  const send = (body: unknown, headers: Record<string, string> = { "content-type": "application/json" }) => {
    const http = httpUnderTest(authority);
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return http.ask("/api/onboarding/users", { method: "POST", body: text, headers });
  };

  it("lists its one step", async () => {
    expect((await httpUnderTest(authority).ask("/api/onboarding")).body).toEqual([
      { step: "user", done: false },
    ]);
  });
  it("answers an authorization code", async () => {
    expect(await send(owner)).toMatchObject({ status: 200, body: { auth_code: "c0de" } });
    expect((await send(owner)).headers.get("cache-control")).toBe("no-store");
  });
  it("refuses a wrong set-up code and records the refusal without it", async () => {
    const http = httpUnderTest(authority);
    const answer = await http.ask("/api/onboarding/users", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...owner, setup_code: "canary" }),
    });
    expect(answer).toMatchObject({ status: 403, body: { code: "invalid_setup_code" } });
    expect(http.decisions).toMatchObject([{ event: "owner_refused", reason: "invalid_setup_code" }]);
    expect(JSON.stringify([http.decisions, http.answered])).not.toContain("canary");
  });
  it.each([
    ["a missing field", { ...owner, setup_code: undefined }],
    ["an unknown field", { ...owner, is_owner: true }],
    ["a number for a name", { ...owner, name: 1 }],
    ["null for a name", { ...owner, name: null }],
    ["a list for a name", { ...owner, name: ["a"] }],
    ["an empty name", { ...owner, name: "" }],
    ["a huge name", { ...owner, name: "x".repeat(129) }],
    ["a poisoned key", `{"__proto__":{"setup_code":"code"},${JSON.stringify(owner).slice(1)}`],
    ["a list", [owner]],
    ["a string", '"x"'],
    ["null", "null"],
    ["no JSON", "{"],
    ["nothing", ""],
    ["deep nesting", "[".repeat(60_000)],
    ["deep nesting that ends", `{"name":${"[".repeat(32_000)}${"]".repeat(32_000)}}`],
    ["half a surrogate pair", JSON.stringify({ ...owner, name: "x" }).replace('"x"', '"\\ud83d"')],
  ])("refuses %s", async (_name, body) => {
    expect(await send(body)).toMatchObject({
      status: 400,
      body: { message: "Message incorrectly formatted.", code: "invalid_format" },
    });
  });
  it("refuses a client id that is no URL", async () => {
    expect(await send({ ...owner, client_id: "app" })).toMatchObject({
      status: 400,
      body: { code: "invalid_client" },
    });
  });
  it.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])(
    "refuses %s, which a form of another site can send",
    async (type) => {
      expect(await send(owner, { "content-type": type })).toMatchObject({ status: 400 });
    },
  );
  it("refuses a body that is too large, said and unsaid", async () => {
    expect(await send("x".repeat(65_537))).toMatchObject({
      status: 413,
      body: { code: "payload_too_large" },
    });
  });
});
