import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import {
  type ClientState,
  createMemoryTokenStore,
  GatewayClient,
  type GatewayClientOptions,
  GatewayError,
  longLivedToken,
  type WebSocketConstructor,
} from "../../src/client/index.ts";
import { createMsgpackCodec } from "../../src/client/msgpack.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { within } from "../support/within.ts";

const handler = ["homeassistant", null] as [string, null];
const NodeWebSocket = WebSocket as unknown as WebSocketConstructor;

describe("gateway client", () => {
  let gateway: RunningGateway;
  let proxy: FaultProxy;
  const open = new Set<GatewayClient>();

  beforeAll(async () => {
    gateway = await startGateway({ store: "embedded", transport: "ws" });
    proxy = await startFaultProxy({ host: "127.0.0.1", port: gateway.port });
  });
  afterEach(() => {
    for (const client of open) client.close();
    open.clear();
  });
  afterAll(async () => {
    await proxy?.stop();
    await gateway?.stop();
  });

  function newClient(options: Partial<GatewayClientOptions> = {}) {
    const states: [ClientState, string | undefined][] = [];
    const waiters = new Set<() => void>();
    const client = new GatewayClient({
      url: gateway.url,
      WebSocket: NodeWebSocket,
      backoff: { baseMs: 10, capMs: 50 },
      onState: (state, error) => {
        states.push([state, error?.code]);
        for (const wake of waiters) wake();
      },
      ...options,
    });
    open.add(client);
    const reached = (state: ClientState) =>
      within(
        new Promise<void>((resolve) => {
          const look = () => {
            if (client.state === state) resolve();
          };
          waiters.add(look);
          look();
        }),
        `state ${state}`,
      );
    return { client, states, reached };
  }

  async function loggedIn(options: Partial<GatewayClientOptions> = {}) {
    const made = newClient(options);
    const login = await made.client.login({ handler });
    await login.submit({ username: "paula", password: gateway.ownerPassword });
    expect(made.client.state).toBe("ready");
    return made;
  }

  const sessionIdOf = async (client: GatewayClient) =>
    (await client.call("auth/refresh_tokens")).find((session) => session.is_current)?.id ?? "";

  it("logs in step by step and is authenticated on the same socket", async () => {
    const { client } = newClient();
    const login = await client.login({ handler });
    expect(login.step).toMatchObject({ type: "form", step_id: "init", errors: {} });
    const again = await login.submit({ username: "paula", password: "a wrong password" });
    expect(again).toMatchObject({ type: "form", errors: { base: "invalid_auth" } });
    const last = await login.submit({ username: "paula", password: gateway.ownerPassword });
    expect(last).toMatchObject({ type: "create_entry", result: { token_type: "Bearer" } });
    expect(login.done).toBe(true);
    expect(client.state).toBe("ready");
    expect(await client.call("auth/current_user")).toMatchObject({ name: "Paula", is_owner: true });
  });

  it("asks for the providers on a socket of its own", async () => {
    const { client, states } = newClient();
    const found = { providers: [{ type: "homeassistant", id: null }], onboarding_required: false };
    expect(await client.providers()).toMatchObject(found);
    expect([client.state, states]).toEqual(["idle", []]);
    const login = await client.login({ handler });
    await login.submit({ username: "paula", password: gateway.ownerPassword });
    expect(await client.providers()).toMatchObject(found);
    expect(client.state).toBe("ready");
    expect(await client.call("auth/current_user")).toMatchObject({ name: "Paula" });
  });

  it("speaks msgpack as well", async () => {
    const { client } = await loggedIn({ codec: createMsgpackCodec() });
    expect(await client.call("auth/current_user")).toMatchObject({ name: "Paula" });
  });

  it("connects again with the stored tokens, by access token and by refresh token", async () => {
    const tokens = createMemoryTokenStore();
    const { client } = await loggedIn({ tokens });
    client.close();
    const stored = await tokens.load();
    if (stored === null) throw new Error("nothing was stored");

    const second = newClient({ tokens });
    await second.client.connect();
    expect((await tokens.load())?.accessToken).toBe(stored.accessToken);
    second.client.close();

    await tokens.save({ ...stored, accessTokenExpiresAt: 0 });
    const third = newClient({ tokens });
    await third.client.connect();
    expect((await tokens.load())?.accessToken).not.toBe(stored.accessToken);
    expect(await third.client.call("auth/current_user")).toMatchObject({ name: "Paula" });
  });

  it("reports login_required without tokens and with invalid tokens", async () => {
    const { client } = newClient();
    await expect(client.connect()).rejects.toMatchObject({ code: "login_required" });
    const wrong = newClient({ tokens: longLivedToken("not.a.token") });
    await expect(wrong.client.connect()).rejects.toMatchObject({
      code: "login_required",
      close: { code: 4300 },
    });
    expect(wrong.client.state).toBe("ended");
  });

  it("rejects a call with the server's code, and with not_connected before connect", async () => {
    const { client } = await loggedIn();
    const call = client.call("auth/delete_refresh_token", { refresh_token_id: "nobody" });
    await expect(call).rejects.toMatchObject({ name: "GatewayError", code: "invalid_token_id" });
    client.close();
    await expect(client.call("ping")).rejects.toMatchObject({ code: "not_connected" });
  });

  it("reconnects after a lost connection and subscribes again", async () => {
    const { client, states, reached } = await loggedIn({ url: `http://127.0.0.1:${proxy.port}` });
    const events: unknown[] = [];
    let arrived = () => {};
    const end = await client.listen({ type: "subscribe_events", event_type: "user_added" }, (event) => {
      events.push(event);
      arrived();
    });
    states.length = 0;
    proxy.cut();
    await within(
      new Promise<void>((resolve) => {
        const poll = () =>
          states.some(([state]) => state === "connecting") ? resolve() : setImmediate(poll);
        poll();
      }),
      "the loss",
    );
    await reached("ready");
    const event = within(
      new Promise<void>((resolve) => {
        arrived = resolve;
      }),
      "the event",
    );
    await gateway.authority.users.create({ name: "Somebody" });
    await event;
    expect(events).toHaveLength(1);
    await end();
  });

  it("continues a half-finished login on another socket", async () => {
    const { client } = newClient({ url: `http://127.0.0.1:${proxy.port}` });
    const login = await client.login({ handler });
    await login.submit({ username: "paula", password: "a wrong password" });
    const flowId = login.step.flow_id;
    proxy.cut();
    // The loss is noticed when the socket's close arrives. A submit before that fails and can be repeated.
    const last = await login
      .submit({ username: "paula", password: gateway.ownerPassword })
      .catch(() => login.submit({ username: "paula", password: gateway.ownerPassword }));
    expect(last).toMatchObject({ type: "create_entry", flow_id: flowId });
    expect(client.state).toBe("ready");
  });

  it("ends when its session is revoked, and forgets the tokens", async () => {
    const tokens = createMemoryTokenStore();
    const { client, states, reached } = await loggedIn({ tokens });
    const sessionIds = [await sessionIdOf(client)];
    await gateway.authority.revocation.revoke(
      { kind: "sessions", userId: gateway.owner.id, sessionIds },
      "session_revoked",
    );
    await reached("ended");
    expect(states.at(-1)).toEqual(["ended", "login_required"]);
    await expect(client.call("ping")).rejects.toMatchObject({ code: "login_required" });
    expect(await tokens.load()).toBeNull();
    await expect(client.connect()).rejects.toMatchObject({ code: "login_required" });
  });

  it("logs out: the session is gone on the server", async () => {
    const tokens = createMemoryTokenStore();
    const { client } = await loggedIn({ tokens });
    const id = await sessionIdOf(client);
    await client.logout();
    expect(await tokens.load()).toBeNull();
    expect(await gateway.authority.sessions.get(id)).toBeUndefined();
  });

  it("gives every call a deadline", async () => {
    const { client } = await loggedIn({ url: `http://127.0.0.1:${proxy.port}`, timeoutMs: 2_000 });
    proxy.blackHole("both");
    await expect(client.call("ping")).rejects.toMatchObject({ code: "call_timeout" });
    proxy.pass();
    expect(await client.call("ping")).toBeNull();
  });

  it("leaves no socket behind if a login is given up", async () => {
    const own = await startFaultProxy({ host: "127.0.0.1", port: gateway.port });
    const { client } = newClient({ url: `http://127.0.0.1:${own.port}` });
    await client.login({ handler });
    expect(own.connections).toBe(1);
    client.close();
    await within(
      new Promise<void>((resolve) => {
        const poll = () => (own.connections === 0 ? resolve() : setImmediate(poll));
        poll();
      }),
      "the socket's end",
    );
    await own.stop();
  });

  it("reports cannot_connect if nothing listens", async () => {
    const { client } = newClient({ url: "http://127.0.0.1:1", tokens: longLivedToken("a.b.c") });
    const error = await client.connect().catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ code: "cannot_connect" });
  });
});

describe("gateway client and short-lived tokens", () => {
  it("refreshes in band before expiry and keeps its socket", async () => {
    const gateway = await startGateway({
      store: "embedded",
      transport: "ws",
      config: { tokens: { access_ttl_seconds: 2 } },
    });
    const saved: string[] = [];
    let refreshed = () => {};
    const memory = createMemoryTokenStore();
    const states: ClientState[] = [];
    const client = new GatewayClient({
      url: gateway.url,
      WebSocket: NodeWebSocket,
      onState: (state) => states.push(state),
      tokens: {
        load: memory.load,
        async save(tokens) {
          await memory.save(tokens);
          if (tokens) saved.push(tokens.accessToken);
          if (saved.length >= 3) refreshed();
        },
      },
    });
    try {
      const login = await client.login({ handler });
      const twice = within(
        new Promise<void>((resolve) => {
          refreshed = resolve;
        }),
        "two refreshes",
      );
      await login.submit({ username: "paula", password: gateway.ownerPassword });
      await twice;
      expect(await client.call("auth/current_user")).toMatchObject({ name: "Paula" });
      expect(new Set(saved).size).toBe(saved.length);
      expect(states).toEqual(["ready"]);
    } finally {
      client.close();
      await gateway.stop();
    }
  });
});
