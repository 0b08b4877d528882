import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { ClientRegistration } from "../../src/auth/clients/registered-clients.ts";
import {
  ownerPassword,
  type RunningGateway,
  setUpOwner,
  startGateway,
  startNode,
} from "../support/gateway.ts";
import { startRedis } from "../support/redis-server.ts";
import { callback, newCode, registerApp, registration, sendForm } from "../support/registered-app.ts";
import { openSocket } from "../support/socket-client.ts";

const backend = "https://backend.example/";
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

let gateway: RunningGateway;
beforeAll(async () => {
  gateway = await startGateway({ store: "embedded", transport: "ws" });
});
afterAll(() => gateway.stop());

let count = 0;
/** A client of its own for a test. */
async function app(changes: Partial<ClientRegistration> = {}) {
  count += 1;
  return await registerApp(gateway.authority, { id: `app${count}`, ...changes });
}
const token = (fields: Readonly<Record<string, string>>, basic?: readonly [string, string]) =>
  sendForm(`${gateway.url}/auth/token`, fields, basic);
const loggedIn = async (basic: readonly [string, string], asked: Readonly<Record<string, string>> = {}) => {
  const [client_id, secret] = basic;
  const code = await newCode(gateway, { client_id, ...asked });
  const { status, body } = await token(
    secret === "" ? { ...code, client_id } : code,
    secret === "" ? undefined : basic,
  );
  expect(status).toBe(200);
  return body;
};

describe("client authentication", () => {
  it("answers a wrong secret, an unknown client, and another method alike, and repeats no secret", async () => {
    const [id] = await app();
    const [publicId] = await app({ authMethod: "none" });
    const wrong = "canary-canary-canary-canary-canary-canary";
    const ask = (client: string) =>
      token({ grant_type: "refresh_token", refresh_token: "x" }, [client, wrong]);
    const answers = [await ask(id), await ask("nobody"), await ask(publicId)];
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]).toMatchObject({
      status: 401,
      challenge: 'Basic realm="gatehouse"',
      body: { error: "invalid_client" },
    });
    expect(JSON.stringify(answers)).not.toContain("canary");
  });

  it.each<
    [string, number, string, (id: string, secret: string) => Promise<{ status: number; body: object }>]
  >([
    [
      "none of a client with a secret",
      400,
      "invalid_client",
      (id) => token({ grant_type: "refresh_token", refresh_token: "x", client_id: id }),
    ],
    ["an empty secret", 401, "invalid_client", (id) => token({ grant_type: "refresh_token" }, [id, ""])],
    [
      "a wrong one in the body",
      400,
      "invalid_client",
      (id) => token({ grant_type: "refresh_token", client_id: id, client_secret: "x" }),
    ],
    [
      "header and body at once",
      400,
      "invalid_request",
      (id, secret) => token({ grant_type: "refresh_token", client_secret: secret }, [id, secret]),
    ],
    [
      "another client id in the body",
      400,
      "invalid_request",
      (id, secret) => token({ grant_type: "refresh_token", client_id: "other" }, [id, secret]),
    ],
    [
      "an assertion of another type",
      400,
      "invalid_request",
      (id) =>
        token({
          grant_type: "refresh_token",
          client_id: id,
          client_assertion: "x",
          client_assertion_type: "saml",
        }),
    ],
    [
      "an assertion that is no JWT",
      400,
      "invalid_client",
      (id) =>
        token({
          grant_type: "refresh_token",
          client_id: id,
          client_assertion: "x",
          client_assertion_type: assertionType,
        }),
    ],
  ])("refuses %s", async (_, status, error, ask) => {
    const [id, secret] = await app();
    expect(await ask(id, secret)).toMatchObject({ status, body: { error } });
  });

  it.each([
    "Basic",
    "Basic !",
    "Basic Og==",
    `Basic ${Buffer.from("%zz:x").toString("base64")}`,
    "Basic\tx",
    `Basic ${"A".repeat(4000)}`,
  ])("is no fault at the header %s", async (authorization) => {
    const answer = await fetch(`${gateway.url}/auth/token`, {
      method: "POST",
      headers: { authorization },
      body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: "x" }),
    });
    expect([400, 401]).toContain(answer.status);
  });

  it("takes each good assertion once, and no other", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const { privateKey: foreign } = await generateKeyPair("ES256");
    const jwks = { keys: [await exportJWK(publicKey)] };
    const { user } = await gateway.authority.systemUsers.create({ name: "assertions" });
    const more = {
      grantTypes: ["client_credentials"],
      userId: user.id,
      authMethod: "private_key_jwt",
      jwks,
    } as const;
    const [id] = await app(more);
    const now = Math.floor(Date.now() / 1000);
    const good = { iss: id, sub: id, aud: gateway.url, exp: now + 60, jti: "one" };
    const signed = (claims: object, key = privateKey, alg = "ES256") =>
      new SignJWT({ ...good, ...claims }).setProtectedHeader({ alg }).sign(key);
    const ask = async (client_assertion: string) =>
      await token({
        grant_type: "client_credentials",
        client_assertion,
        client_assertion_type: assertionType,
      });
    const secretKey = new TextEncoder().encode(JSON.stringify(jwks.keys[0]));
    const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from(JSON.stringify(good)).toString("base64url")}.`;
    const refused = [
      await signed({ aud: "https://other.example" }),
      await signed({ exp: now - 60 }),
      await signed({ exp: now + 3600 }),
      await signed({ exp: undefined }),
      await signed({ jti: undefined }),
      await signed({ iss: "other" }),
      await signed({ sub: "other" }),
      await signed({}, foreign),
      await new SignJWT(good).setProtectedHeader({ alg: "HS256" }).sign(secretKey),
      none,
    ];
    for (const assertion of refused)
      expect(await ask(assertion)).toMatchObject({ status: 400, body: { error: "invalid_client" } });
    expect(await ask(await signed({}))).toMatchObject({ status: 200 });
    expect(await ask(await signed({}))).toMatchObject({ status: 400, body: { error: "invalid_client" } });
    expect(await ask(await signed({ jti: "two", aud: [`${gateway.url}/auth/token`, "x"] }))).toMatchObject({
      status: 200,
    });
  });
});

describe("what is bound to a client", () => {
  it("a code of another client opens nothing, and stays good for its own", async () => {
    const [own, other] = [await app(), await app()];
    const code = await newCode(gateway, { client_id: own[0] });
    expect(await token(code, other)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    expect(await token(code, own)).toMatchObject({ status: 200 });
  });

  it("a refresh token of a client with a secret is worth nothing without it, on the socket neither", async () => {
    const [own, other] = [await app(), await app()];
    const { refresh_token = "" } = await loggedIn(own);
    const refresh = { grant_type: "refresh_token", refresh_token };
    expect(await token({ ...refresh, client_id: own[0] })).toMatchObject({
      status: 400,
      body: { error: "invalid_client" },
    });
    expect(await token(refresh, other)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    expect(await token(refresh)).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    const socket = await openSocket(gateway.port);
    for (const fields of [{ client_id: own[0] }, {}])
      expect(await socket.call("auth/login/refresh", { refresh_token, ...fields })).toMatchObject({
        error: { code: "invalid_client" },
      });
    expect(await token(refresh, own)).toMatchObject({ status: 200 });
    socket.close();
  });

  it("only what a client is registered for is granted", async () => {
    const { user } = await gateway.authority.systemUsers.create({ name: "grants" });
    const codes = await app({ grantTypes: ["authorization_code"] });
    const service = await app({ grantTypes: ["client_credentials"], userId: user.id, redirectUris: [] });
    expect(await token({ grant_type: "client_credentials" }, codes)).toMatchObject({
      body: { error: "unauthorized_client" },
    });
    expect(await token({ grant_type: "refresh_token", refresh_token: "x" }, service)).toMatchObject({
      body: { error: "unauthorized_client" },
    });
    expect((await loggedIn(codes)).refresh_token).toBeUndefined();
    const socket = await openSocket(gateway.port);
    const start = { handler: ["homeassistant", null], client_id: codes[0] };
    expect(await socket.call("auth/login/start", start)).toMatchObject({
      error: { code: "unauthorized_client" },
    });
    socket.close();
  });

  it.each<[string, string]>([
    ["another path", "https://app.example/callback2"],
    ["a path below", "https://app.example/callback/x"],
    ["a query", "https://app.example/callback?x=1"],
    ["another case", "https://APP.example/callback"],
    ["a port", "https://app.example:443/callback"],
    ["a user", "https://x@app.example/callback"],
    ["a dot segment", "https://app.example/x/../callback"],
    ["another scheme", "http://app.example/callback"],
    ["localhost on another port", "http://localhost:9999/back"],
    ["loopback with another path", "http://127.0.0.1:9999/other"],
    ["a host that begins like loopback", "http://127.0.0.1.evil.example/back"],
    ["a user before loopback", "http://127.0.0.1@evil.example/back"],
    ["loopback with a port that is none", "http://127.0.0.1:99999/back"],
    ["a script", "javascript:alert(1)"],
  ])("no code goes to %s", async (_, redirect_uri) => {
    const redirectUris = [callback, "http://127.0.0.1/back", "http://localhost:1/back"];
    const [client_id] = await app({ redirectUris });
    await expect(newCode(gateway, { client_id, redirect_uri })).rejects.toThrow(
      /invalid_redirect_uri|invalid_format/,
    );
  });

  it.each([
    "http://127.0.0.1:51234/back",
    "http://127.0.0.1/back",
    "http://[::1]:8/back",
    "com.example.app:/cb",
  ])("an app on the person's machine gets its code at %s", async (redirect_uri) => {
    const redirectUris = ["http://127.0.0.1/back", "http://[::1]/back", "com.example.app:/cb"];
    const own = await app({ redirectUris, authMethod: "none" });
    const code = await newCode(gateway, { client_id: own[0], redirect_uri });
    expect(await token({ ...code, client_id: own[0], redirect_uri })).toMatchObject({ status: 200 });
  });

  it("a public client needs PKCE, on the page and on the socket", async () => {
    const [client_id] = await app({ authMethod: "none" });
    const asked = new URLSearchParams({ response_type: "code", client_id, redirect_uri: callback });
    const page = await fetch(`${gateway.url}/auth/authorize?${asked}`);
    expect([page.status, await page.text()]).toEqual([400, expect.stringContaining("invalid_format")]);
    const socket = await openSocket(gateway.port);
    const start = { handler: ["homeassistant", null], for: "code", client_id, redirect_uri: callback };
    expect(await socket.call("auth/login/start", start)).toMatchObject({ error: { code: "invalid_format" } });
    socket.close();
  });

  it("prompt=none goes back with login_required, but to registered addresses only", async () => {
    const [client_id] = await app();
    const ask = async (fields: Record<string, string>) => {
      const asked = new URLSearchParams({
        response_type: "code",
        redirect_uri: callback,
        prompt: "none",
        state: "s&s",
        ...fields,
      });
      return await fetch(`${gateway.url}/auth/authorize?${asked}`, { redirect: "manual" });
    };
    const back = await ask({ client_id });
    expect(back.status).toBe(303);
    expect(Object.fromEntries(new URL(back.headers.get("location") ?? "").searchParams)).toEqual({
      error: "login_required",
      state: "s&s",
      iss: gateway.url,
    });
    expect(await ask({ client_id: "https://app.example/" })).toMatchObject({ status: 400 });
  });
});

describe("scopes", () => {
  it("narrow what a token may do on the socket and over HTTP, and no refresh widens them", async () => {
    const own = await app({ scopes: ["openid", "profile", "api"] });
    const tokens = await loggedIn(own, { scope: "openid profile" });
    expect(tokens.scope).toBe("openid profile");
    const socket = await openSocket(gateway.port);
    expect(await socket.authenticate(tokens.access_token ?? "")).toMatchObject({ type: "auth_ok" });
    expect(await socket.call("ping")).toMatchObject({ type: "pong" });
    expect(await socket.call("auth/current_user")).toMatchObject({ success: true });
    for (const type of ["auth/refresh_tokens", "config/auth/list", "subscribe_events"])
      expect(await socket.call(type), type).toMatchObject({ error: { code: "insufficient_scope" } });
    const long = { client_name: "wide", lifespan: 1 };
    expect(await socket.call("auth/long_lived_access_token", long)).toMatchObject({
      error: { code: "insufficient_scope" },
    });
    const refreshed = await socket.call("auth/refresh", { refresh_token: tokens.refresh_token });
    expect(refreshed).toMatchObject({ success: true });
    expect(await socket.call("config/auth/list")).toMatchObject({ error: { code: "insufficient_scope" } });
    const { access_token, refresh_token } = refreshed.result as {
      access_token: string;
      refresh_token: string;
    };
    const probe = await fetch(`${gateway.url}/api/`, {
      headers: { authorization: `Bearer ${access_token}` },
    });
    expect(probe.status).toBe(403);
    const wider = { grant_type: "refresh_token", refresh_token, scope: "openid profile api" };
    expect(await token(wider, own)).toMatchObject({ status: 400, body: { error: "invalid_scope" } });
    socket.close();
  });

  it("of which none is allowed are refused, and a client without one gets no page", async () => {
    const own = await app({ scopes: ["openid"] });
    await expect(newCode(gateway, { client_id: own[0], scope: "api" })).rejects.toThrow("invalid_scope");
    await expect(newCode(gateway, { client_id: own[0], scope: 'a"b' })).rejects.toThrow("invalid_scope");
    expect((await loggedIn(own)).scope).toBe("openid");
  });

  it("can be asked for by a client that nobody registered", async () => {
    const client_id = "https://app.example/";
    const wide = await loggedIn([client_id, ""]);
    expect(wide.scope).toBeUndefined();
    const narrow = await loggedIn([client_id, ""], { scope: "openid" });
    const asks = (access: string | undefined) =>
      fetch(`${gateway.url}/auth/userinfo`, { headers: { authorization: `Bearer ${access}` } });
    expect(await (await asks(narrow.access_token)).json()).toEqual({ sub: gateway.owner.id });
    const probe = { headers: { authorization: `Bearer ${narrow.access_token}` } };
    expect((await fetch(`${gateway.url}/api/`, probe)).status).toBe(403);
  });
});

describe("tokens for somebody else", () => {
  it("an access token of a backend opens nothing here, and an ID token is none", async () => {
    const own = await app();
    const { access_token = "", id_token = "" } = await loggedIn(own, { resource: backend });
    for (const each of [access_token, id_token]) {
      const socket = await openSocket(gateway.port);
      expect(await socket.authenticate(each)).toMatchObject({ type: "auth_invalid" });
      expect(await socket.closed).toMatchObject({ code: 4300 });
      const bearer = { headers: { authorization: `Bearer ${each}` } };
      expect((await fetch(`${gateway.url}/auth/userinfo`, bearer)).status).toBe(401);
    }
  });

  it("a resource that is not the client's is refused, also when the code is redeemed", async () => {
    const own = await app();
    await expect(newCode(gateway, { client_id: own[0], resource: "https://other.example/" })).rejects.toThrow(
      "invalid_target",
    );
    const code = await newCode(gateway, { client_id: own[0], resource: backend });
    expect(await token({ ...code, resource: "https://other.example/" }, own)).toMatchObject({
      status: 400,
      body: { error: "invalid_target" },
    });
    await expect(newCode(gateway, { client_id: "https://app.example/", resource: backend })).rejects.toThrow(
      "invalid_target",
    );
  });

  it("a client learns of its own tokens only, and a public one of none", async () => {
    const [own, other] = [await app(), await app({ resources: [] })];
    const reader = await app({ resources: [backend] });
    const publicApp = await app({ authMethod: "none" });
    const { access_token = "", refresh_token = "" } = await loggedIn(own, { resource: backend });
    const ask = async (fields: Record<string, string>, basic?: readonly [string, string]) =>
      await sendForm(`${gateway.url}/auth/introspect`, fields, basic);
    expect((await ask({ token: access_token }, own)).body).toMatchObject({
      active: true,
      scope: "openid profile api",
    });
    expect((await ask({ token: refresh_token }, own)).body).toMatchObject({
      active: true,
      client_id: own[0],
    });
    expect((await ask({ token: access_token }, reader)).body).toMatchObject({ active: true, aud: backend });
    for (const each of [access_token, refresh_token, "x"])
      expect((await ask({ token: each }, other)).body).toEqual({ active: false });
    expect((await ask({ token: refresh_token }, reader)).body).toEqual({ active: false });
    expect(await ask({ token: access_token, client_id: publicApp[0] })).toMatchObject({ status: 400 });
    expect(await ask({ token: access_token })).toMatchObject({ status: 401 });
    // Nor can it end the session of somebody else.
    await sendForm(`${gateway.url}/auth/revoke`, { token: refresh_token }, other);
    expect((await ask({ token: refresh_token }, own)).body).toMatchObject({ active: true });
    await sendForm(`${gateway.url}/auth/revoke`, { token: access_token }, own);
    expect((await ask({ token: refresh_token }, own)).body).toEqual({ active: false });
  });
});

describe("pushed requests", () => {
  it("are the client's own, and count whatever the address says beside them", async () => {
    const [own, other] = [await app({ requiresPushedRequests: true }), await app()];
    const push = (fields: Record<string, string>) =>
      sendForm(`${gateway.url}/auth/par`, { response_type: "code", redirect_uri: callback, ...fields }, own);
    expect(await push({ redirect_uri: "https://evil.example/" })).toMatchObject({ status: 400 });
    const pushed = await push({ scope: "openid" });
    expect(pushed).toMatchObject({ status: 201, body: { expires_in: 600 } });
    const { request_uri = "" } = pushed.body;
    await expect(newCode(gateway, { client_id: other[0], request_uri })).rejects.toThrow(
      "invalid_request_uri",
    );
    await expect(newCode(gateway, { client_id: own[0] })).rejects.toThrow("invalid_format");
    const code = await newCode(gateway, {
      client_id: own[0],
      request_uri,
      redirect_uri: "https://evil.example/",
      scope: "api",
    });
    const { code_verifier: _, ...withoutVerifier } = code;
    expect(await token(withoutVerifier, own)).toMatchObject({ status: 200, body: { scope: "openid" } });
    await expect(newCode(gateway, { client_id: own[0], request_uri })).rejects.toThrow("invalid_request_uri");
  });
});

describe("a client that is changed", () => {
  it("gets nothing from a login that began before, beyond what it may have now", async () => {
    const person = { username: "paula", password: ownerPassword };
    const begin = async (changes: Partial<ClientRegistration>, asked: Readonly<Record<string, string>>) => {
      const own = await app({ authMethod: "none", ...changes });
      const socket = await openSocket(gateway.port);
      const start = { handler: ["homeassistant", null], client_id: own[0], ...asked };
      const { result } = await socket.call("auth/login/start", start);
      const { flow_id } = result as { flow_id: string };
      const finish = () => socket.call("auth/login/step", { flow_id, user_input: person });
      return { own, socket, finish };
    };
    const login = { grantTypes: ["login"], redirectUris: [], scopes: ["profile", "api"] } as const;
    const narrowed = await begin(login, {});
    await gateway.authority.clients.update(narrowed.own[0], { scopes: ["profile"] });
    expect(await narrowed.finish()).toMatchObject({ result: { type: "create_entry" } });
    expect(await narrowed.socket.call("auth/refresh_tokens")).toMatchObject({
      error: { code: "insufficient_scope" },
    });
    const removed = await begin(login, {});
    await gateway.authority.clients.remove(removed.own[0]);
    expect(await removed.finish()).toMatchObject({ error: { code: "invalid_client" } });
    for (const { socket } of [narrowed, removed]) socket.close();
  });

  it("loses its sessions and sockets when it is removed, or may do less", async () => {
    for (const change of [
      (id: string) => gateway.authority.clients.remove(id),
      (id: string) => gateway.authority.clients.update(id, { scopes: ["openid"] }),
    ]) {
      const own = await app();
      const tokens = await loggedIn(own);
      const socket = await openSocket(gateway.port);
      await socket.authenticate(tokens.access_token ?? "");
      await change(own[0]);
      expect(await socket.closed).toMatchObject({ code: 4301 });
      const refresh = { grant_type: "refresh_token", refresh_token: tokens.refresh_token ?? "" };
      expect((await token(refresh, own)).status).toBeGreaterThanOrEqual(400);
    }
  });

  it("keeps them when it may do more, and its old secret ends with a new one", async () => {
    const own = await app({ scopes: ["openid"] });
    const tokens = await loggedIn(own);
    await gateway.authority.clients.update(own[0], { scopes: ["openid", "api"] });
    const { secret } = await gateway.authority.clients.renewSecret(own[0]);
    const refresh = { grant_type: "refresh_token", refresh_token: tokens.refresh_token ?? "" };
    expect(await token(refresh, own)).toMatchObject({ status: 401 });
    expect(await token(refresh, [own[0], secret ?? ""])).toMatchObject({
      status: 200,
      body: { scope: "openid" },
    });
  });

  it.each<[string, string, Partial<ClientRegistration>]>([
    ["an id that is a URL", "invalid_format", { id: "https://app.example/" }],
    ["the id that stands for no client", "invalid_format", { id: "gatehouse" }],
    ["an id as long as a code", "invalid_format", { id: "a".repeat(32) }],
    ["a redirect URI that runs code", "invalid_format", { redirectUris: ["javascript:alert(1)"] }],
    ["a redirect URI with a fragment", "invalid_format", { redirectUris: ["https://app.example/#x"] }],
    ["a redirect URI without a scheme", "invalid_format", { redirectUris: ["/callback"] }],
    ["codes without a redirect URI", "invalid_format", { redirectUris: [] }],
    [
      "a private key",
      "invalid_format",
      { authMethod: "private_key_jwt", jwks: { keys: [{ kty: "EC", d: "x" }] } },
    ],
    ["keys beside a secret", "invalid_format", { jwks: { keys: [{ kty: "EC" }] } }],
    ["no keys", "invalid_format", { authMethod: "private_key_jwt" }],
    [
      "a key that is none",
      "invalid_format",
      { authMethod: "private_key_jwt", jwks: { keys: [{ kty: "EC", crv: "P-256", x: "AA", y: "AA" }] } },
    ],
    [
      "a symmetric key",
      "invalid_format",
      { authMethod: "private_key_jwt", jwks: { keys: [{ kty: "oct", k: "x" }] } },
    ],
    [
      "client_credentials of a public client",
      "invalid_format",
      { authMethod: "none", grantTypes: ["client_credentials"] },
    ],
    ["logins on the socket with a secret", "invalid_format", { grantTypes: ["login"] }],
    ["a person for client_credentials", "not_found", { grantTypes: ["client_credentials"], userId: "owner" }],
  ])("cannot have %s", async (_, code, changes) => {
    const userId = changes.userId === "owner" ? gateway.owner.id : (changes.userId ?? null);
    const register = gateway.authority.clients.register({ ...registration, id: "wrong", ...changes, userId });
    await expect(register).rejects.toMatchObject({ code });
  });
});

describe("two nodes", () => {
  it("redeem a code once, rotate once, and take an assertion once, however many ask at once", async () => {
    const redis = await startRedis();
    const nodes = [await startNode({ store: redis.url }), await startNode({ store: redis.url })];
    try {
      const [first] = nodes;
      if (first === undefined) throw new Error("no node");
      const owner = await setUpOwner(first.authority);
      const basic = await registerApp(first.authority);
      const everywhere = (count: number, fields: Record<string, string>) =>
        Promise.all(
          Array.from({ length: count }, (_, place) =>
            sendForm(`${nodes[place % 2]?.url}/auth/token`, fields, basic),
          ),
        );
      const code = await newCode({ url: first.url, owner });
      const redeemed = await everywhere(100, code);
      expect(redeemed.filter(({ status }) => status === 200)).toHaveLength(1);
      // A second use is a theft, so what the first one opened has ended.
      const { refresh_token = "" } = redeemed.find(({ status }) => status === 200)?.body ?? {};
      const [ended] = await everywhere(1, { grant_type: "refresh_token", refresh_token });
      expect(ended).toMatchObject({ status: 400, body: { error: "invalid_grant" } });

      const again = await newCode({ url: first.url, owner });
      const [opened] = await everywhere(1, again);
      const refresh = { grant_type: "refresh_token", refresh_token: opened?.body.refresh_token ?? "" };
      const refreshed = await everywhere(50, refresh);
      expect(new Set(refreshed.map(({ status }) => status))).toEqual(new Set([200]));
      expect(new Set(refreshed.map(({ body }) => body.refresh_token)).size).toBe(1);
    } finally {
      for (const node of nodes) await node.stop();
      await redis.dispose();
    }
  });
});
