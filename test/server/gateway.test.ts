import { afterEach, describe, expect, it } from "vitest";
import { createLog } from "../../src/observability/log.ts";
import { defineConfig } from "../../src/server/config/load.ts";
import type { ConfigInput } from "../../src/server/config/schema.ts";
import { createGateway, type Gateway, type GatewayParts, type Started } from "../../src/server/gateway.ts";
import { cheapScrypt, ownerLogin } from "../support/authority.ts";
import { openSocket } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

interface Running extends Started {
  readonly gateway: Gateway;
}

const quick = { scrypt_n: cheapScrypt.N, workers: 1 };

async function start(input: ConfigInput = {}, parts: GatewayParts = {}): Promise<Running> {
  const folder = temporaryFolder();
  undo.push(() => folder.remove());
  const config = { port: 0, data: folder.path, password: quick, log: { level: "silent" }, ...input } as const;
  const gateway = await createGateway(defineConfig(config), parts);
  undo.push(() => gateway.stop(0));
  return { gateway, ...(await gateway.start()) };
}

const codeOf = (link: string | undefined) =>
  new URLSearchParams(new URL(link ?? "").hash.slice(1)).get("code") ?? "";
const getJson = async (url: string) => (await fetch(url)).json() as Promise<Record<string, unknown>>;

async function setUp({ url, setupLink }: Started): Promise<string> {
  const answer = await fetch(`${url}/api/onboarding/users`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ setup_code: codeOf(setupLink), ...ownerLogin, client_id: `${url}/` }),
  });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { auth_code: string }).auth_code;
}

async function tokens(url: string, fields: Record<string, string>) {
  const answer = await fetch(`${url}/auth/token`, { method: "POST", body: new URLSearchParams(fields) });
  return { status: answer.status, body: (await answer.json()) as Record<string, string> };
}

async function loggedIn(started: Started) {
  const code = await setUp(started);
  const fields = { grant_type: "authorization_code", client_id: `${started.url}/`, code };
  const { body } = await tokens(started.url, fields);
  return { accessToken: String(body.access_token), refreshToken: String(body.refresh_token), code };
}

describe.each(["ws", "uws"] as const)("a gateway from nothing, %s", (transport) => {
  it("is set up with the printed link, gives tokens, and closes the socket of a revoked session", async () => {
    const started = await start({ transport });
    expect(started.setupLink).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/setup#code=.{16,}$/);
    const { accessToken, refreshToken } = await loggedIn(started);

    const socket = await openSocket(started.port);
    expect(await socket.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    expect(await socket.call("auth/current_user")).toMatchObject({
      success: true,
      result: { is_owner: true },
    });

    const headers = { authorization: `Bearer ${accessToken}` };
    expect(await (await fetch(`${started.url}/api/`, { headers })).json()).toEqual({
      message: "API running.",
    });
    const fields = { grant_type: "refresh_token", client_id: `${started.url}/`, refresh_token: refreshToken };
    const refreshed = await tokens(started.url, fields);
    expect(Object.keys(refreshed.body).sort()).toEqual(["access_token", "expires_in", "token_type"]);

    await fetch(`${started.url}/auth/revoke`, {
      method: "POST",
      body: new URLSearchParams({ token: refreshToken }),
    });
    expect(await within(socket.closed, "the socket to be cut off")).toMatchObject({ code: 4301 });
    expect((await fetch(`${started.url}/api/`, { headers })).status).toBe(401);
    expect(await tokens(started.url, fields)).toEqual({ status: 400, body: { error: "invalid_grant" } });
  });

  it("has no set-up link afterwards, and refuses a second owner", async () => {
    const started = await start({ transport });
    await setUp(started);
    const again = await fetch(`${started.url}/api/onboarding/users`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        setup_code: codeOf(started.setupLink),
        ...ownerLogin,
        client_id: `${started.url}/`,
      }),
    });
    expect([again.status, await again.json()]).toEqual([
      403,
      { message: "User step already done", code: "onboarding_done" },
    ]);
  });

  it("signs a path on the socket that a browser may fetch", async () => {
    const started = await start({ transport });
    const { accessToken } = await loggedIn(started);
    const socket = await openSocket(started.port);
    await socket.authenticate(accessToken);
    const { result } = await socket.call("auth/sign_path", { path: "/api/?size=1", expires: 60 });
    const { path } = result as { path: string };
    expect((await fetch(started.url + path)).status).toBe(200);
    expect((await fetch(`${started.url}${path}&size=2`)).status).toBe(401);
    await socket.call("auth/delete_all_refresh_tokens", { delete_current_token: true });
    expect((await fetch(started.url + path)).status).toBe(401);
  });

  it("reports what it is and whether it is ready", async () => {
    const { url } = await start({ transport });
    expect(await getJson(`${url}/healthz`)).toMatchObject({
      status: "ok",
      version: "0.1.0",
      transport,
      store: "embedded",
      codecs: ["json", "msgpack"],
    });
    expect(await getJson(`${url}/readyz`)).toEqual({
      ready: true,
      reasons: [],
      revocation_bound_s: 3.25,
      problems: [],
      revocation: { trusted: true, policy: "suspend", lease_age_ms: expect.any(Number), nodes: 1 },
    });
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('gatehouse_http_requests_total{method="GET",route="/readyz",status="200"} 1');
    expect(metrics).toContain("gatehouse_revocation_feed_following 1");
    const forwarded = await fetch(`${url}/metrics`, { headers: { "x-forwarded-for": "127.0.0.1" } });
    expect(forwarded.status).toBe(404);
  });

  it("answers a request without an upgrade to the socket's path with 426", async () => {
    const { url } = await start({ transport });
    const answer = await fetch(`${url}/api/websocket`);
    expect([answer.status, await answer.json()]).toMatchObject([426, { code: "upgrade_required" }]);
    expect(answer.headers.get("upgrade")).toBe("websocket");
    expect(answer.headers.get("connection")).toMatch(/^upgrade(?:, close)?$/);
  });

  it("publishes documents that match its tokens", async () => {
    const started = await start({ transport, tokens: { audience: "backends" } });
    const { accessToken } = await loggedIn(started);
    const metadata = await getJson(`${started.url}/.well-known/oauth-authorization-server`);
    const { createRemoteJWKSet, jwtVerify } = await import("jose");
    const keys = createRemoteJWKSet(new URL(String(metadata.jwks_uri)));
    const options = { issuer: String(metadata.issuer), audience: "backends", typ: "at+jwt" };
    expect((await jwtVerify(accessToken, keys, options)).payload.sub).toMatch(/^[0-9a-f]{32}$/);
    expect(metadata.issuer).toBe(started.url);
  });

  it("answers bodies that are too large, endless or broken", async () => {
    const { url, gateway } = await start({ transport });
    const send = (body: string, type: string) =>
      fetch(`${url}/auth/token`, { method: "POST", headers: { "content-type": type }, body });
    const urlencoded = "application/x-www-form-urlencoded";
    expect((await send("a".repeat(70_000), urlencoded)).status).toBe(413);
    for (const [body, type] of [
      ["--b\r\nContent-Disp", "multipart/form-data; boundary=b"],
      ["grant_type=refresh_token&grant_type=x", urlencoded],
    ] as const) {
      const answer = await send(body, type);
      expect([answer.status, await answer.json()]).toEqual([400, { error: "invalid_request" }]);
    }
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await gateway.metrics.render()).body).not.toContain("gatehouse_defects_total{");
  });

  it("writes no secret to its log, at any level, and none to its metrics", async () => {
    const lines: string[] = [];
    const log = createLog({ level: "debug", sink: { write: (line: string) => void lines.push(line) } });
    const started = await start({ transport }, { log });
    const { accessToken, refreshToken, code } = await loggedIn(started);
    const socket = await openSocket(started.port);
    await socket.authenticate(accessToken);
    await socket.call("auth/refresh", { refresh_token: refreshToken });
    const { result } = await socket.call("auth/sign_path", { path: "/api/" });
    const { path } = result as { path: string };
    await fetch(started.url + path);
    const stranger = await openSocket(started.port);
    const handler = ["homeassistant", null];
    const { result: form } = await stranger.call("auth/login/start", { handler });
    const { flow_id, flow_secret } = form as { flow_id: string; flow_secret: string };
    await stranger.call("auth/login/step", {
      flow_id,
      user_input: { username: "olivia", password: "canary-pass" },
    });
    const input = { username: "olivia", password: ownerLogin.password };
    await stranger.call("auth/login/step", { flow_id, user_input: input });
    await fetch(`${started.url}/api/?access_token=${accessToken}`);
    await started.gateway.stop(0);

    const told = lines.join("");
    const audited = lines.map((line) => JSON.parse(line)).filter(({ audit }) => audit !== undefined);
    expect(audited.map(({ audit, outcome, grant }) => [audit, outcome, grant].join(" ").trim())).toEqual([
      "owner_created allowed",
      "token_granted allowed authorization_code",
      "socket_authentication allowed",
      "token_granted allowed refresh_token",
      "login denied",
      "login allowed",
      "socket_authentication allowed",
    ]);
    const signature = new URLSearchParams(path.split("?")[1]).get("authSig") ?? "";
    const secrets = [
      ...[accessToken, refreshToken, code, codeOf(started.setupLink), signature, flow_secret],
      ...["canary-pass", ownerLogin.password],
    ];
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(8);
      expect(told).not.toContain(secret);
    }
  });
});

describe("two gateways in one process", () => {
  it("share nothing", async () => {
    const [first, second] = [await start(), await start()];
    const { accessToken } = await loggedIn(first);
    expect(await getJson(`${second.url}/api/onboarding`)).toEqual([{ step: "user", done: false }]);
    const stranger = await openSocket(second.port);
    expect(await stranger.authenticate(accessToken)).toMatchObject({ type: "auth_invalid" });
    const before = await (await fetch(`${second.url}/metrics`)).text();
    expect(before).not.toContain('gatehouse_authentications_total{result="ok"}');
    await first.gateway.stop(0);
    expect(await getJson(`${second.url}/readyz`)).toMatchObject({ ready: true });
  });

  it("cannot share an embedded store", async () => {
    const { gateway } = await start();
    expect(gateway.health.live().store).toBe("embedded");
    const folder = temporaryFolder();
    undo.push(() => folder.remove());
    const first = await start({ data: folder.path });
    await expect(start({ data: folder.path })).rejects.toThrow(`in use by process ${process.pid}`);
    expect(await getJson(`${first.url}/readyz`)).toMatchObject({ ready: true });
  });
});

describe("a stop", () => {
  it("closes sockets with going_away, then the port and the store", async () => {
    const folder = temporaryFolder();
    undo.push(() => folder.remove());
    const { gateway, url, port } = await start({ data: folder.path });
    const sockets = await Promise.all([openSocket(port), openSocket(port), openSocket(port)]);
    const stopped = gateway.stop(200);
    expect(await gateway.health.ready()).toMatchObject({ ready: false, reasons: ["draining"] });
    for (const socket of sockets)
      expect(await within(socket.closed, "the close")).toMatchObject({ code: 1001 });
    await within(stopped, "the stop");
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
    await gateway.stop();
    const again = await start({ data: folder.path });
    expect(await getJson(`${again.url}/readyz`)).toMatchObject({ ready: true });
  });

  it("in the middle of the start leaves nothing open", async () => {
    const folder = temporaryFolder();
    undo.push(() => folder.remove());
    const config = defineConfig({ port: 0, data: folder.path, password: quick, log: { level: "silent" } });
    const gateway = await createGateway(config);
    const starting = gateway.start();
    await within(gateway.stop(0), "the stop");
    const { url } = await starting;
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
    const again = await start({ data: folder.path });
    expect(await getJson(`${again.url}/readyz`)).toMatchObject({ ready: true });
  });

  it("happens by itself if the port is in use", async () => {
    const first = await start();
    const folder = temporaryFolder();
    undo.push(() => folder.remove());
    await expect(start({ data: folder.path, port: first.port })).rejects.toThrow(/in use/);
    const second = await start({ data: folder.path });
    expect(await getJson(`${second.url}/readyz`)).toMatchObject({ ready: true });
  });
});
