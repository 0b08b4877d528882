import { afterEach, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";

import {
  type ClientState,
  createMemoryTokenStore,
  GatewayClient,
  type GatewayClientOptions,
  type StoredTokens,
  type WebSocketConstructor,
} from "../../src/client/index.ts";
import {
  type ScriptedGateway,
  type ScriptedMessage,
  startScriptedGateway,
} from "../support/scripted-gateway.ts";
import { within } from "../support/within.ts";

const handler = ["homeassistant", null] as [string, null];
const NodeWebSocket = WebSocket as unknown as WebSocketConstructor;
const tokens: StoredTokens = {
  accessToken: "access",
  accessTokenExpiresAt: Date.now() + 3_600_000,
  refreshToken: "refresh",
};
const form = { type: "form", flow_id: "f", handler, step_id: "init", data_schema: [], errors: {} };
const grant = { access_token: "new", token_type: "Bearer", expires_in: 1800, refresh_token: "new refresh" };
const entry = { type: "create_entry", flow_id: "f", handler, result: { ...grant, session_id: "s" } };

type Script = Parameters<typeof startScriptedGateway>[0];

/** Accepts everything. */
const willing: Script = (message, socket) => {
  if (message.type === "auth") socket.send({ type: "auth_ok", ha_version: "2026.11.0" });
  else if (message.type === "auth/login/start") return { ...form, flow_secret: "secret" };
  else if (message.type === "auth/login/step") {
    socket.send({ id: message.id, type: "result", success: true, result: entry });
    socket.send({ type: "auth_ok", ha_version: "2026.11.0" });
  } else return null;
  return undefined;
};

function refusal({ id }: ScriptedMessage, code: string, more: object = {}) {
  return { id, type: "result", success: false, error: { code, message: code, ...more } };
}

const until = (what: string, condition: () => boolean) =>
  within(
    new Promise<void>((resolve) => {
      const poll = () => (condition() ? resolve() : setImmediate(poll));
      poll();
    }),
    what,
  );

describe("gateway client: events at inconvenient moments", () => {
  const gateways: ScriptedGateway[] = [];
  const clients: GatewayClient[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    for (const gateway of gateways.splice(0)) await gateway.stop();
  });

  async function set(
    script: Script = willing,
    options: Partial<GatewayClientOptions> = {},
    hold?: () => Promise<void>,
  ) {
    const gateway = await startScriptedGateway(script, hold);
    const states: [ClientState, string | undefined][] = [];
    const store = createMemoryTokenStore(tokens);
    const client = new GatewayClient({
      url: gateway.url,
      WebSocket: NodeWebSocket,
      tokens: store,
      backoff: { baseMs: 1, capMs: 5 },
      onState: (state, error) => states.push([state, error?.code]),
      ...options,
    });
    gateways.push(gateway);
    clients.push(client);
    return { gateway, client, states, store };
  }

  it("stays closed if close() is called while the socket opens", async () => {
    let open = () => {};
    const held = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { gateway, client } = await set(willing, {}, () => held);
    const connected = client.connect();
    client.close();
    await expect(connected).rejects.toMatchObject({ code: "not_connected" });
    open();
    await client.connect();
    expect(gateway.open).toBe(1);
    client.close();
    await until("no socket", () => gateway.open === 0);
    expect(client.state).toBe("idle");
  });

  it("stays closed if close() is called while it authenticates, and keeps the tokens", async () => {
    const { gateway, client, states, store } = await set(() => undefined);
    const connected = client.connect().catch((error: unknown) => error);
    await until("the token", () => gateway.sockets[0]?.heard.length === 1);
    client.close();
    expect(await connected).toMatchObject({ code: "not_connected" });
    await until("no socket", () => gateway.open === 0);
    expect(client.state).toBe("idle");
    expect(states).toEqual([
      ["connecting", undefined],
      ["idle", undefined],
    ]);
    expect(await store.load()).toEqual(tokens);
  });

  it("gives up a connect for a login, which continues", async () => {
    const { gateway, client } = await set((message, socket) =>
      message.type === "auth" ? undefined : willing(message, socket),
    );
    const connected = client.connect().catch((error: unknown) => error);
    await until("the token", () => gateway.sockets[0]?.heard.length === 1);
    const login = await client.login({ handler });
    expect(await connected).toMatchObject({ code: "not_connected" });
    await login.submit({ username: "paula" });
    expect(client.state).toBe("ready");
    await until("one socket", () => gateway.open === 1);
  });

  it("lets the later of two logins win and keeps one socket", async () => {
    const { gateway, client } = await set();
    const first = client.login({ handler }).then(
      (login) => login.submit({}),
      (error: unknown) => Promise.reject(error),
    );
    const second = client.login({ handler });
    await expect(first).rejects.toMatchObject({ name: "GatewayError" });
    await (await second).submit({});
    expect(client.state).toBe("ready");
    await until("one socket", () => gateway.open === 1);
  });

  it("is not ready any more once a login began, and can connect again", async () => {
    const { gateway, client } = await set();
    await client.connect();
    await client.login({ handler });
    expect(client.state).toBe("idle");
    await expect(client.call("ping")).rejects.toMatchObject({ code: "not_connected" });
    await client.connect();
    expect(client.state).toBe("ready");
    await until("one socket", () => gateway.open === 1);
  });

  it("keeps no socket if a login cannot start, is cancelled, or gives a code", async () => {
    let step: object = { ...form, flow_secret: "secret" };
    const { gateway, client } = await set((message, socket) => {
      if (message.type === "auth/login/start" && step === form)
        socket.send(refusal(message, "invalid_handler"));
      else if (message.type === "auth/login/cancel")
        return { type: "abort", flow_id: "f", handler, reason: "cancelled" };
      else return message.type === "auth/login/step" ? { ...entry, result: "a code" } : step;
      return undefined;
    });
    const cancelled = await client.login({ handler });
    await cancelled.cancel();
    expect(cancelled.step).toMatchObject({ type: "abort" });
    await until("no socket after a cancel", () => gateway.open === 0);
    const coded = await client.login({ handler, for: "code" });
    expect(await coded.submit({})).toMatchObject({ result: "a code" });
    await until("no socket after a code", () => gateway.open === 0);
    step = form;
    await expect(client.login({ handler })).rejects.toMatchObject({ code: "invalid_handler" });
    await until("no socket after a refusal", () => gateway.open === 0);
  });

  it("settles pending calls when it is closed", async () => {
    const { client } = await set((message, socket) =>
      message.type === "auth/current_user" ? undefined : willing(message, socket),
    );
    await client.connect();
    const call = client.call("auth/current_user");
    client.close();
    await expect(call).rejects.toMatchObject({ code: "connection_lost" });
  });

  it("reconnects without a subscription that is refused now, and reports it", async () => {
    const { gateway, client } = await set((message, socket) => {
      if (message.type === "subscribe_events" && message.event_type === "user_added" && socket.place > 0)
        socket.send(refusal(message, "unauthorized"));
      else return willing(message, socket);
      return undefined;
    });
    await client.connect();
    const ended: string[] = [];
    const events: unknown[] = [];
    const onEnd = (error: { readonly code: string }) => ended.push(error.code);
    await client.listen({ type: "subscribe_events", event_type: "user_added" }, () => {}, onEnd);
    await client.listen({ type: "subscribe_events", event_type: "x" }, (event) => events.push(event), onEnd);
    gateway.sockets[0]?.close(1001);
    await until("the return", () => gateway.sockets.length === 2 && client.state === "ready");
    expect(ended).toEqual(["unauthorized"]);
    const kept = gateway.sockets[1]?.heard.find(({ event_type }) => event_type === "x");
    gateway.sockets[1]?.send({ id: kept?.id, type: "event", event: 1 });
    await until("the event", () => events.length === 1);
  });

  it("ends, and does not retry for ever, with a long-lived token that has expired", async () => {
    const { gateway, client, states } = await set(
      (message, socket) => {
        if (message.type !== "auth") return null;
        if (socket.place === 0) socket.send({ type: "auth_ok" });
        else socket.close(4200);
        return undefined;
      },
      { tokens: createMemoryTokenStore({ ...tokens, refreshToken: null }) },
    );
    await client.connect();
    gateway.sockets[0]?.close(1001);
    await until("the end", () => client.state === "ended");
    expect(states.at(-1)).toEqual(["ended", "login_required"]);
    expect(gateway.sockets).toHaveLength(2);
  });

  it("follows a close that comes between auth_ok and ready", async () => {
    const { gateway, client, store } = await set((message, socket) => {
      if (message.type !== "supported_features" || socket.place === 0) return willing(message, socket);
      socket.close(4301);
      return undefined;
    });
    await client.connect();
    gateway.sockets[0]?.close(1001);
    await until("the end", () => client.state === "ended");
    expect(gateway.sockets).toHaveLength(2);
    expect(await store.load()).toBeNull();
  });

  it("reconnects at once after the first close that means now, and waits after the next", async () => {
    const random = vi.spyOn(Math, "random").mockReturnValue(0.5);
    const timers = vi.spyOn(globalThis, "setTimeout");
    const { gateway, client } = await set(
      (message, socket) => {
        if (message.type !== "supported_features") return willing(message, socket);
        socket.send({ id: message.id, type: "result", success: true, result: null });
        socket.close(4000);
        return undefined;
      },
      { backoff: { baseMs: 100_000, capMs: 100_000 } },
    );
    await client.connect();
    await until("a wait", () => timers.mock.calls.some(([, ms]) => ms === 50_000));
    expect(gateway.sockets).toHaveLength(2);
    random.mockRestore();
    timers.mockRestore();
  });

  it("survives callbacks that throw", async () => {
    const caught: unknown[] = [];
    let throwing = true;
    const before = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => caught.push(error));
    try {
      const { gateway, client } = await set(willing, {
        onState: () => {
          if (throwing) throw new Error("the application's mistake");
        },
      });
      await client.connect();
      gateway.sockets[0]?.close(1001);
      await until("the return", () => gateway.sockets.length === 2 && client.state === "ready");
      expect(caught.length).toBeGreaterThanOrEqual(3);
    } finally {
      throwing = false;
      process.removeAllListeners("uncaughtException");
      for (const listener of before) process.on("uncaughtException", listener);
    }
  });

  it("does not overwrite with a refresh what a logout or a login stored meanwhile", async () => {
    const { client, store } = await set((message, socket) => {
      if (message.type !== "auth/refresh") return willing(message, socket);
      void Promise.resolve(store.save(null)).then(() =>
        socket.send({ id: message.id, type: "result", success: true, result: grant }),
      );
      return undefined;
    });
    await client.connect();
    await client.refresh();
    expect(await store.load()).toBeNull();
  });

  it("keeps the tokens of another tab's login when its own session ends", async () => {
    const { gateway, client, store } = await set();
    await client.connect();
    await store.save({ ...tokens, accessToken: "of another login" });
    gateway.sockets[0]?.close(4301);
    await until("the end", () => client.state === "ended");
    expect(await store.load()).toMatchObject({ accessToken: "of another login" });
  });

  it("keeps the tokens, and the connection, when a logout fails", async () => {
    const { client, store } = await set((message, socket) => {
      if (message.type === "auth/refresh_tokens") return [{ id: "s", is_current: true }];
      if (message.type !== "auth/delete_refresh_token") return willing(message, socket);
      socket.send(refusal(message, "unavailable", { retry_after: 1 }));
      return undefined;
    });
    await client.connect();
    await expect(client.logout()).rejects.toMatchObject({ code: "unavailable", retryAfterSeconds: 1 });
    expect(client.state).toBe("ready");
    expect(await store.load()).toEqual(tokens);
  });

  it("logs out without an end in between", async () => {
    const { client, states } = await set((message, socket) => {
      if (message.type === "auth/refresh_tokens") return [{ id: "s", is_current: true }];
      if (message.type !== "auth/delete_refresh_token") return willing(message, socket);
      socket.send({ id: message.id, type: "result", success: true, result: {} });
      socket.close(4301);
      return undefined;
    });
    await client.connect();
    await client.logout();
    expect(states.map(([state]) => state)).toEqual(["connecting", "ready", "idle"]);
  });

  it("takes a session that is pushed to it, and what was pushed before it", async () => {
    const pushed = { ...form, type: "progress", progress_action: "wait" };
    const { gateway, client, store } = await set((message, socket) => {
      if (message.type === "auth/login/start") {
        socket.send([
          { id: message.id, type: "result", success: true, result: { ...form, flow_secret: "secret" } },
          { id: message.id, type: "event", event: pushed },
        ]);
        return undefined;
      }
      return willing(message, socket);
    });
    const login = await client.login({ handler });
    const steps: string[] = [];
    login.onStep = ({ type }) => steps.push(type);
    await until("the step", () => login.step.type === "progress");
    gateway.sockets[0]?.send({ id: 1, type: "event", event: entry });
    gateway.sockets[0]?.send({ type: "auth_ok" });
    await until("ready", () => client.state === "ready");
    expect(steps).toContain("create_entry");
    expect(await store.load()).toMatchObject({ accessToken: "new" });
  });

  it("ends if it cannot decode a message", async () => {
    const { gateway, client, states } = await set();
    await client.connect();
    gateway.sockets[0]?.send('{"a":1,"a":2}');
    await until("the end", () => client.state === "ended");
    expect(states.at(-1)).toEqual(["ended", "refused"]);
    await until("no socket", () => gateway.open === 0);
  });
});
