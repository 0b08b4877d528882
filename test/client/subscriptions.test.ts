import { afterEach, describe, expect, it } from "vitest";

import { commands } from "../../protocol/commands/index.ts";
import { isSubscription } from "../../protocol/subscriptions.ts";
import { createMemoryTokenStore, GatewayClient, type StoredTokens } from "../../src/client/index.ts";
import { subjectOf } from "../../src/client/subject.ts";
import { type ScriptedGateway, startScriptedGateway } from "../support/scripted-gateway.ts";
import { within } from "../support/within.ts";

const tokenOf = (sub: string) =>
  `e30.${Buffer.from(JSON.stringify({ sub, name: "Zoë" })).toString("base64url")}.sig`;
const tokensOf = (sub: string): StoredTokens => ({
  accessToken: tokenOf(sub),
  accessTokenExpiresAt: Date.now() + 3_600_000,
  refreshToken: "refresh",
});
const until = (what: string, condition: () => boolean) =>
  within(
    new Promise<void>((resolve) => {
      const poll = () => (condition() ? resolve() : setImmediate(poll));
      poll();
    }),
    what,
  );

const gateways: ScriptedGateway[] = [];
const clients: GatewayClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const gateway of gateways.splice(0)) await gateway.stop();
});

async function connected() {
  const gateway = await startScriptedGateway((message, socket) => {
    if (message.type !== "auth") return null;
    socket.send({ type: "auth_ok", ha_version: "2026.11.0" });
    return undefined;
  });
  const store = createMemoryTokenStore(tokensOf("paula"));
  const client = new GatewayClient({ url: gateway.url, tokens: store, backoff: { baseMs: 1, capMs: 5 } });
  gateways.push(gateway);
  clients.push(client);
  await client.connect();
  const ended: string[] = [];
  const events: unknown[] = [];
  const subscribe = (message: Parameters<GatewayClient["listen"]>[0]) =>
    client.listen(
      message,
      (event) => events.push(event),
      ({ code }) => ended.push(code),
    );
  const back = async (sockets: number) => {
    gateway.sockets.at(-1)?.close(1001);
    await until("the return", () => gateway.sockets.length === sockets && client.state === "ready");
  };
  const sent = (socket: number, type: string) =>
    gateway.sockets[socket]?.heard.filter((message) => message.type === type).length;
  return { gateway, client, store, ended, events, subscribe, back, sent };
}

const revoke = { type: "gatehouse/revoke", target: { user_id: "bob" }, subscribe: true } as const;
const listen = { type: "subscribe_events", event_type: "user_added" } as const;

describe("subscriptions of a client", () => {
  it("are sent again on a new socket only if the protocol declares them subscriptions", async () => {
    const { subscribe, back, sent, ended } = await connected();
    await subscribe(revoke);
    await subscribe(listen);
    await back(2);
    expect([sent(1, "subscribe_events"), sent(1, "gatehouse/revoke")]).toEqual([1, 0]);
    expect(ended).toEqual(["connection_lost"]);
  });

  it("end with the last event of a command, and only once", async () => {
    const { gateway, subscribe, back, sent, ended, events } = await connected();
    await subscribe(revoke);
    const [socket] = gateway.sockets;
    const id = socket?.heard.at(-1)?.id;
    socket?.send({ id, type: "event", event: { effective: "pending", done: false } });
    socket?.send({ id, type: "event", event: { effective: "all", done: true } });
    await until("the last event", () => events.length === 2);
    await back(2);
    expect(sent(1, "gatehouse/revoke")).toBe(0);
    expect(ended).toEqual([]);
  });

  it("are not renewed for another user, whose tokens replaced the first one's", async () => {
    const { store, subscribe, back, sent, ended } = await connected();
    await subscribe(listen);
    await store.save(tokensOf("bob"));
    await back(2);
    expect(sent(1, "subscribe_events")).toBe(0);
    expect(ended).toEqual(["not_connected"]);
  });

  it("are renewed with other tokens of the same user", async () => {
    const { store, subscribe, back, sent, ended } = await connected();
    await subscribe(listen);
    await store.save({ ...tokensOf("paula"), refreshToken: "another session" });
    await back(2);
    expect(sent(1, "subscribe_events")).toBe(1);
    expect(ended).toEqual([]);
  });

  it.each([
    ["close", (client: GatewayClient) => client.close()],
    ["logout", (client: GatewayClient) => client.logout().catch(() => client.close())],
    ["login", (client: GatewayClient) => client.login({ handler: ["homeassistant", null] }).catch(() => {})],
  ] as const)("end with %s, and the next connect starts without them", async (_name, leave) => {
    const { gateway, client, store, subscribe, sent, ended } = await connected();
    await subscribe(listen);
    await subscribe(revoke);
    await leave(client);
    expect(ended).toEqual(["not_connected", "not_connected"]);
    await store.save(tokensOf("paula"));
    await client.connect();
    expect(sent(gateway.sockets.length - 1, "subscribe_events")).toBe(0);
  });

  it("end with the session, with the reason", async () => {
    const { gateway, subscribe, ended } = await connected();
    await subscribe(listen);
    gateway.sockets[0]?.close(4301);
    await until("the end", () => ended.length === 1);
    expect(ended).toEqual(["login_required"]);
  });

  it("are declared by the protocol: of all commands these", () => {
    expect(Object.keys(commands).filter(isSubscription)).toEqual([
      "subscribe_events",
      "gatehouse/presence/subscribe",
      "gatehouse/topics/subscribe",
    ]);
    expect(isSubscription("toString")).toBe(false);
  });
});

describe("the subject of a token", () => {
  it("is its sub, whatever the characters of the claims", () => {
    expect(subjectOf(tokenOf("paula"))).toBe("paula");
    expect([undefined, "", "opaque", "a.b.c", "e30.e30.", "e30.W10.x"].map(subjectOf)).toEqual(
      Array(6).fill(undefined),
    );
  });
});
