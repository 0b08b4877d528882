import * as oidc from "openid-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import { GatewayClient } from "../../src/client/index.ts";

import {
  ownerPassword,
  type RunningGateway,
  setUpOwner,
  startGateway,
  startNode,
} from "../support/gateway.ts";
import { quickLogin } from "../support/quick-login.ts";
import { startRedis } from "../support/redis-server.ts";
import { registerApp, sendForm } from "../support/registered-app.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";
const television = {
  id: "tv",
  name: "Television",
  authMethod: "none",
  redirectUris: [],
  grantTypes: [deviceGrant, "refresh_token"],
  scopes: ["openid", "profile", "api"],
} as const;
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

type Place = Pick<RunningGateway, "url" | "port" | "authority">;

async function person({ port }: Pick<Place, "port">, username = "paula"): Promise<SocketClient> {
  const { socket, step } = await quickLogin(port, ["homeassistant", null], {
    username,
    password: ownerPassword,
  });
  expect(step.type).toBe("create_entry");
  await socket.find(({ type }) => type === "auth_ok", "auth_ok");
  return socket;
}
const begin = (place: Place, fields: Record<string, string> = {}) =>
  sendForm(`${place.url}/auth/device_authorization`, { client_id: "tv", ...fields });
const poll = (place: Place, device_code: string, client_id = "tv") =>
  sendForm(`${place.url}/auth/token`, { grant_type: deviceGrant, client_id, device_code });
const decide = (socket: SocketClient, what: "show" | "approve" | "refuse", user_code: string) =>
  socket.call(`gatehouse/device/${what}`, { user_code });
/** What comes as an event on a device's socket. */
const outcomeOn = (device: SocketClient): Promise<Message> =>
  device.find(({ type }) => type === "event", "an outcome");

describe.each(["ws", "uws"] as const)("a device at a gateway on %s", (transport) => {
  let gateway: RunningGateway;
  beforeEach(async () => {
    gateway = await startGateway({ store: "embedded", transport });
    cleanUps.push(() => gateway.stop());
    await registerApp(gateway.authority, television);
  });

  it("polls with openid-client until the person has approved", async () => {
    const insecure = { execute: [oidc.allowInsecureRequests] };
    const config = await oidc.discovery(new URL(gateway.url), "tv", undefined, oidc.None(), insecure);
    const begun = await oidc.initiateDeviceAuthorization(config, { scope: "openid profile" });
    expect(begun).toMatchObject({ expires_in: 600, interval: 5, verification_uri: `${gateway.url}/device` });
    expect(begun.user_code).toMatch(/^[B-Z]{4}-[B-Z]{4}$/);
    const socket = await person(gateway);
    const { result } = await decide(socket, "show", begun.user_code.toLowerCase().replace("-", " "));
    expect(result).toMatchObject({
      client_id: "tv",
      client_name: "Television",
      scope: "openid profile",
      address: "127.0.0.1",
    });
    expect(await decide(socket, "approve", begun.user_code)).toMatchObject({ success: true });
    const tokens = await oidc.pollDeviceAuthorizationGrant(config, { ...begun, interval: 0 });
    expect(tokens).toMatchObject({ scope: "openid profile", refresh_token: expect.any(String) });
    expect(tokens.claims()).toMatchObject({ sub: gateway.owner.id, amr: ["pwd"] });
    socket.close();
  });

  it("waits on its socket, and is let in, refused, or told that it took too long", async () => {
    const socket = await person(gateway);
    const device = await openSocket(gateway.port);
    const { result } = await device.call("auth/device/start", { client_id: "tv", scope: "api" });
    const { user_code, device_code } = result as { user_code: string; device_code: string };
    await decide(socket, "approve", user_code);
    const { id, event } = await outcomeOn(device);
    expect({ id, event }).toMatchObject({
      id: 1,
      event: { outcome: "approved", session: { token_type: "Bearer" } },
    });
    await device.find(({ type }) => type === "auth_ok", "auth_ok");
    expect(await device.call("auth/current_user")).toMatchObject({ result: { id: gateway.owner.id } });
    // The code is used up.
    const late = await openSocket(gateway.port);
    await late.call("auth/device/wait", { client_id: "tv", device_code });
    expect((await outcomeOn(late)).event).toEqual({ outcome: "expired" });

    const other = await late.call("auth/device/start", { client_id: "tv" });
    await decide(socket, "refuse", (other.result as { user_code: string }).user_code);
    expect((await outcomeOn(late)).event).toEqual({ outcome: "refused" });
    for (const each of [socket, device, late]) each.close();
  });

  it("is a program with the SDK, which goes on waiting when its socket drops", async () => {
    const socket = await person(gateway);
    const sockets: WebSocket[] = [];
    class Watched extends WebSocket {
      constructor(...given: ConstructorParameters<typeof WebSocket>) {
        super(...given);
        sockets.push(this);
      }
    }
    const client = new GatewayClient({ url: gateway.url, clientId: "tv", WebSocket: Watched as never });
    const device = await client.startDevice({ scope: "profile" });
    sockets[0]?.terminate();
    await decide(socket, "approve", device.userCode);
    await device.done;
    expect(await client.call("auth/current_user")).toMatchObject({ id: gateway.owner.id });
    const refused = await client.startDevice();
    await decide(socket, "refuse", refused.userCode);
    await expect(refused.done).rejects.toMatchObject({ code: "access_denied" });
    const closed = await client.startDevice();
    client.close();
    await expect(closed.done).rejects.toMatchObject({ code: "not_connected" });
    socket.close();
  });

  it("that lost its socket goes on waiting on another one, also for what it began over HTTP", async () => {
    const socket = await person(gateway);
    const { body } = await begin(gateway);
    const lost = await openSocket(gateway.port);
    const { device_code = "", user_code = "" } = body;
    expect(await lost.call("auth/device/wait", { client_id: "tv", device_code })).toMatchObject({
      result: null,
    });
    lost.terminate();
    await decide(socket, "approve", user_code);
    const device = await openSocket(gateway.port);
    await device.call("auth/device/wait", { client_id: "tv", device_code });
    expect((await outcomeOn(device)).event).toMatchObject({ outcome: "approved" });
    for (const each of [socket, device]) each.close();
  });
});

describe("attacks on device authorization", () => {
  let gateway: RunningGateway;
  beforeEach(async () => {
    gateway = await startGateway({ store: "embedded", transport: "ws" });
    cleanUps.push(() => gateway.stop());
    await registerApp(gateway.authority, television);
  });

  it("another client's code, an unknown one and a used one open nothing", async () => {
    await registerApp(gateway.authority, { ...television, id: "other" });
    const socket = await person(gateway);
    const { body } = await begin(gateway);
    const { device_code = "", user_code = "" } = body;
    await decide(socket, "approve", user_code);
    for (const [code, client] of [
      [device_code, "other"],
      ["x", "tv"],
      ["A".repeat(43), "tv"],
    ] as const)
      expect(await poll(gateway, code, client)).toMatchObject({
        status: 400,
        body: { error: "invalid_grant" },
      });
    const [first, ...more] = (
      await Promise.all(Array.from({ length: 20 }, () => poll(gateway, device_code)))
    ).sort((a, b) => a.status - b.status);
    expect(first).toMatchObject({ status: 200 });
    for (const each of more) expect(each).toMatchObject({ status: 400 });
    expect(await poll(gateway, device_code)).toMatchObject({ status: 400 });
    expect(await decide(socket, "approve", user_code)).toMatchObject({ error: { code: "not_found" } });
    socket.close();
  });

  it("polls that come too often make it wait longer, and cost no approval", async () => {
    const { body } = await begin(gateway);
    const { device_code = "", user_code = "" } = body;
    expect(await poll(gateway, device_code)).toMatchObject({ body: { error: "authorization_pending" } });
    expect(await poll(gateway, device_code)).toMatchObject({ body: { error: "slow_down" } });
    const socket = await person(gateway);
    await decide(socket, "refuse", user_code);
    expect(await poll(gateway, device_code)).toMatchObject({ status: 400, body: { error: "access_denied" } });
    socket.close();
  });

  it("a person guesses no code, and needs a recent login and the whole scope to approve", async () => {
    const socket = await person(gateway);
    const { body } = await begin(gateway);
    for (let guess = 0; guess < 10; guess += 1)
      expect(await decide(socket, "show", "BCDF-GHJK")).toMatchObject({ error: { code: "not_found" } });
    expect(await decide(socket, "show", body.user_code ?? "")).toMatchObject({
      error: { code: "rate_limited" },
    });
    socket.close();

    const stale = await startGateway({
      store: "embedded",
      transport: "ws",
      config: { tokens: { recent_login_minutes: 1 } },
    });
    cleanUps.push(() => stale.stop());
    await registerApp(stale.authority, television);
    const { authority, owner } = stale;
    const { accessToken } = await authority.sessions.openLongLived({
      userId: owner.id,
      clientName: "x",
      clientIcon: null,
      days: 1,
    });
    const longLived = await openSocket(stale.port);
    await longLived.authenticate(accessToken);
    const code = (await begin(stale)).body.user_code ?? "";
    expect(await decide(longLived, "approve", code)).toMatchObject({
      error: { code: "recent_login_required" },
    });
    longLived.close();
  });

  it("only clients that are registered for it begin, and none that has a secret on a socket", async () => {
    const app = await registerApp(gateway.authority);
    expect(await begin(gateway, { client_id: "https://app.example/" })).toMatchObject({ status: 400 });
    expect(await begin(gateway, { client_id: "nobody" })).toMatchObject({ status: 400 });
    expect(await sendForm(`${gateway.url}/auth/device_authorization`, {}, app)).toMatchObject({
      body: { error: "unauthorized_client" },
    });
    expect(await begin(gateway, { scope: "groups" })).toMatchObject({ body: { error: "invalid_scope" } });
    const socket = await openSocket(gateway.port);
    expect(await socket.call("auth/device/start", { client_id: app[0] })).toMatchObject({
      error: { code: "invalid_client" },
    });
    socket.close();
  });

  it("a device gets no scope that its client has lost since it began", async () => {
    const socket = await person(gateway);
    const { body } = await begin(gateway, { scope: "profile api" });
    await gateway.authority.clients.update("tv", { scopes: ["profile"] });
    await decide(socket, "approve", body.user_code ?? "");
    const polled = await poll(gateway, body.device_code ?? "");
    expect(polled).toMatchObject({ status: 200, body: { scope: "profile" } });
    socket.close();
  });

  it("strangers begin a bounded number", async () => {
    const answers = [];
    for (let count = 0; count < 61; count += 1) answers.push(await begin(gateway));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(60);
    expect(answers.at(-1)).toMatchObject({ status: 429 });
  });

  it("an approval does not outlive the person's password, credential or rights", async () => {
    const { authority } = gateway;
    const ada = await authority.localLogins.createUser({
      name: "Ada",
      username: "ada",
      password: ownerPassword,
      groupIds: ["system-users"],
    });
    const socket = await person(gateway, "ada");
    const { body } = await begin(gateway);
    await decide(socket, "approve", body.user_code ?? "");
    await authority.revocation.revoke({ kind: "user", userId: ada.id }, "password_changed");
    expect(await poll(gateway, body.device_code ?? "")).toMatchObject({
      status: 400,
      body: { error: "expired_token" },
    });
    const again = await person(gateway, "ada");
    const next = await begin(gateway);
    await decide(again, "approve", next.body.user_code ?? "");
    await authority.users.update(ada.id, { isActive: false });
    expect((await poll(gateway, next.body.device_code ?? "")).status).toBe(403);
  });
});

it("is decided on at one node and let in at another, once", async () => {
  const redis = await startRedis();
  cleanUps.push(() => redis.dispose());
  const nodes = [await startNode({ store: redis.url }), await startNode({ store: redis.url })];
  for (const node of nodes) cleanUps.push(() => node.stop());
  const [here, there] = nodes;
  if (here === undefined || there === undefined) throw new Error("no nodes");
  await setUpOwner(here.authority);
  await registerApp(here.authority, television);
  const socket = await person(here);
  const device = await openSocket(there.port);
  const { result } = await device.call("auth/device/start", { client_id: "tv" });
  const { user_code, device_code } = result as { user_code: string; device_code: string };
  const polling = Array.from({ length: 10 }, () => poll(here, device_code));
  expect(await decide(socket, "approve", user_code)).toMatchObject({ success: true });
  const polled = await Promise.all(polling);
  const { event } = await outcomeOn(device);
  const pushed = (event as { outcome: string }).outcome === "approved" ? 1 : 0;
  expect(polled.filter(({ status }) => status === 200).length + pushed).toBe(1);
  for (const each of [socket, device]) each.close();
});
