import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import { closeCodes } from "../../protocol/close-codes.ts";
import {
  type ClientState,
  createMemoryTokenStore,
  GatewayClient,
  type GatewayClientOptions,
  type WebSocketConstructor,
} from "../../src/client/index.ts";
import { Events } from "../support/events.ts";
import { type ScriptedGateway, startScriptedGateway } from "../support/scripted-gateway.ts";
import { within } from "../support/within.ts";

type Script = Parameters<typeof startScriptedGateway>[0];

const tokens = { accessToken: "a", accessTokenExpiresAt: Date.now() + 3_600_000, refreshToken: "r" };

/** Authenticates every socket and answers everything but `auth/current_user`. */
const willing: Script = (message, socket) => {
  if (message.type === "auth") socket.send({ type: "auth_ok", ha_version: "2026.11.0" });
  else if (message.type === "ping") socket.send({ id: message.id, type: "pong" });
  else if (message.type !== "auth/current_user") return null;
  return undefined;
};

describe("gateway client: a server that suspends", () => {
  const gateways: ScriptedGateway[] = [];
  const clients: GatewayClient[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    for (const gateway of gateways.splice(0)) await gateway.stop();
  });

  async function connect(script: Script = willing, options: Partial<GatewayClientOptions> = {}) {
    const gateway = await startScriptedGateway(script);
    const states = new Events<readonly [ClientState, string | undefined]>("a state of the client");
    const client = new GatewayClient({
      url: gateway.url,
      WebSocket: WebSocket as unknown as WebSocketConstructor,
      tokens: createMemoryTokenStore(tokens),
      backoff: { baseMs: 1, capMs: 5 },
      onState: (state, error) => states.push([state, error?.code]),
      ...options,
    });
    gateways.push(gateway);
    clients.push(client);
    await client.connect();
    for (const state of ["connecting", "ready"]) expect((await states.next())[0]).toBe(state);
    const [socket] = gateway.sockets;
    if (socket === undefined) throw new Error("no socket");
    const suspend = async () => {
      socket.send({ type: "auth_suspended", retry_after: 60 });
      expect(await states.next()).toEqual(["suspended", undefined]);
    };
    const answer = (type: string) => {
      for (const { id, type: asked } of socket.heard)
        if (asked === type) socket.send({ id, type: "result", success: true, result: { id: "u" } });
    };
    return { gateway, client, states, socket, suspend, answer };
  }

  it("is asked to report it", async () => {
    const { socket } = await connect();
    expect(socket.heard.find(({ type }) => type === "supported_features")).toMatchObject({
      features: { auth_suspended: 1 },
    });
  });

  it("pauses the deadlines of pending and new calls, and resumes them", async () => {
    const timeoutMs = 400;
    const { client, states, socket, suspend, answer } = await connect(willing, { timeoutMs });
    const before = client.call("auth/current_user");
    await suspend();
    const during = client.call("auth/current_user");
    // Another server also does not answer, but did not suspend: there the same time is too long, twice.
    const other = await connect(willing, { timeoutMs });
    for (let count = 0; count < 2; count += 1)
      await expect(other.client.call("auth/current_user")).rejects.toMatchObject({ code: "call_timeout" });
    socket.send({ type: "auth_resumed" });
    expect(await states.next()).toEqual(["ready", undefined]);
    answer("auth/current_user");
    expect(await within(Promise.all([before, during]), "the answers")).toEqual([{ id: "u" }, { id: "u" }]);
    await expect(client.call("auth/current_user")).rejects.toMatchObject({ code: "call_timeout" });
  });

  it("resumes the deadline of a call where it was paused", async () => {
    const { client, suspend, socket } = await connect(willing, { timeoutMs: 300 });
    const call = client.call("auth/current_user");
    call.catch(() => undefined);
    await suspend();
    socket.send({ type: "auth_resumed" });
    await expect(call).rejects.toMatchObject({ code: "call_timeout" });
  });

  it("is left when it closes, and the client reconnects as the close code says", async () => {
    const { gateway, client, states, socket, suspend } = await connect();
    await suspend();
    const call = client.call("auth/current_user");
    socket.close(closeCodes.unavailable.number);
    await expect(call).rejects.toMatchObject({ code: "connection_lost" });
    expect(await states.next()).toEqual(["connecting", "connection_lost"]);
    expect(await states.next()).toEqual(["ready", undefined]);
    expect(gateway.sockets).toHaveLength(2);
  });

  it("is obeyed when it closes for good", async () => {
    const { states, socket, suspend } = await connect();
    await suspend();
    socket.close(closeCodes.session_revoked.number);
    expect(await states.next()).toEqual(["ended", "login_required"]);
  });

  it("may suspend before the client is ready", async () => {
    const early: Script = (message, socket) => {
      if (message.type !== "supported_features") return willing(message, socket);
      socket.send({ type: "auth_suspended", retry_after: 60 });
      socket.send({ type: "auth_resumed" });
      return null;
    };
    const { states } = await connect(early);
    expect(states.waiting).toEqual([]);
  });
});

describe("gateway client: a connection that is half-open", () => {
  it("is noticed by unanswered pings, and replaced; suspended too", async () => {
    for (const suspends of [false, true]) {
      let pings = 0;
      const gateway = await startScriptedGateway((message, socket) => {
        if (message.type !== "ping") return willing(message, socket);
        // The first socket's first ping is answered, and nothing after it.
        if (socket.place === 0) pings += 1;
        if (socket.place === 0 && pings > 1) return undefined;
        if (socket.place === 0 && suspends) socket.send({ type: "auth_suspended", retry_after: 60 });
        socket.send({ id: message.id, type: "pong" });
        return undefined;
      });
      const states = new Events<readonly [ClientState, string | undefined]>("a state of the client");
      const client = new GatewayClient({
        url: gateway.url,
        WebSocket: WebSocket as unknown as WebSocketConstructor,
        tokens: createMemoryTokenStore(tokens),
        backoff: { baseMs: 1, capMs: 5 },
        heartbeatMs: 100,
        onState: (state, error) => states.push([state, error?.code]),
      });
      await client.connect();
      const seen: (readonly [ClientState, string | undefined])[] = [];
      while (seen.filter(([state]) => state === "ready").length < 2) seen.push(await states.next());
      expect(seen).toContainEqual(["connecting", "connection_lost"]);
      expect(gateway.sockets.length).toBeGreaterThan(1);
      client.close();
      await gateway.stop();
    }
  });
});
