import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { closeCodes } from "../../protocol/close-codes.ts";
import type { SessionGrant } from "../../protocol/flow.ts";
import type { GatewayParts } from "../../src/server/gateway.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { ownerPassword, type RunningGateway, setUpOwner, startNode } from "../support/gateway.ts";
import { stretched } from "../support/machine-share.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { type Message, openSocket } from "../support/socket-client.ts";

type Node = Omit<RunningGateway, "owner" | "ownerPassword">;
const handler = ["homeassistant", null];
const user_input = { username: "paula", password: ownerPassword };
/** At once is meant, at the latest after store_timeout_ms; both cores may be busy. */
const soonMs = 2_000;

async function startedLogin(node: Node, more: object = {}) {
  const socket = await openSocket(node.port);
  const { result } = await socket.call("auth/login/start", { handler, ...more });
  return { socket, ...(result as { flow_id: string; flow_secret: string }) };
}

async function loggedIn(node: Node) {
  const { socket, flow_id } = await startedLogin(node);
  const { result } = await socket.call("auth/login/step", { flow_id, user_input });
  await socket.find(({ type }) => type === "auth_ok", "auth_ok");
  return { socket, grant: (result as { result: SessionGrant }).result };
}

// The store that such a node sees may be one that was left behind, and answers nevertheless: heartbeats are written, and
// not read back.
describe.each(["ws", "uws"] as const)(
  "a node whose tail of the log is cut while Redis answers, %s",
  (transport) => {
    let redis: RedisServer;
    let proxy: FaultProxy;
    let node: Node;
    let clientId: string;
    let waiting: Awaited<ReturnType<typeof startedLogin>>;
    let code: string;
    let grant: SessionGrant;
    let signed: string;
    let served: Awaited<ReturnType<typeof openSocket>>;

    beforeAll(async () => {
      redis = await startRedis();
      proxy = await startFaultProxy({ host: "127.0.0.1", port: redis.port });
      node = await startNode({
        store: `redis://127.0.0.1:${proxy.port}`,
        transport,
        // Its sockets are served on, so that what they ask for is answered.
        revocation: { policy: "serve_until_exp" },
      });
      clientId = `${node.url}/`;
      await setUpOwner(node.authority);
      ({ socket: served, grant } = await loggedIn(node));
      code = await codeFor();
      signed = (
        (await served.call("auth/sign_path", { path: "/api/", expires: 600 })).result as { path: string }
      ).path;
      waiting = await startedLogin(node);
      proxy.separateSenders("xrange");
      await untilTrusted(false);
      expect(await redis.command("PING")).toBe("PONG");
    });
    afterAll(async () => {
      await node?.stop();
      await proxy?.stop();
      await redis?.dispose();
    });

    const untilTrusted = (trusted: boolean) =>
      vi.waitUntil(() => node.authority.revocation.view.trusted === trusted, {
        timeout: 15_000,
        interval: 20,
      });

    async function codeFor(): Promise<string> {
      const { socket, flow_id } = await startedLogin(node, {
        for: "code",
        client_id: clientId,
        redirect_uri: clientId,
      });
      const { result } = await socket.call("auth/login/step", { flow_id, user_input });
      socket.close();
      return (result as { result: string }).result;
    }

    const post = (fields: Record<string, string>) =>
      fetch(`${node.url}/auth/token`, { method: "POST", body: new URLSearchParams(fields) });
    const exchange = () => post({ grant_type: "authorization_code", code, client_id: clientId });
    const refreshOverHttp = () => post({ grant_type: "refresh_token", refresh_token: grant.refresh_token });

    const busy = { success: false, error: { code: "unavailable", retry_after: 1 } };
    async function refusedOnSocket(answer: Promise<Message>): Promise<void> {
      const began = performance.now();
      expect(await answer).toMatchObject(busy);
      expect(performance.now() - began).toBeLessThan(stretched(soonMs));
    }
    async function refusedOverHttp(answer: Promise<Response>, body: object): Promise<void> {
      const began = performance.now();
      const response = await answer;
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
      expect(await response.json()).toMatchObject(body);
      expect(performance.now() - began).toBeLessThan(stretched(soonMs));
    }

    it("starts no login, and the one that is open on the socket stays", async () => {
      const fresh = await openSocket(node.port);
      await refusedOnSocket(fresh.call("auth/login/start", { handler }));
      expect(await fresh.call("auth/providers")).toMatchObject({ success: true });
      fresh.close();
      await refusedOnSocket(waiting.socket.call("auth/login/start", { handler }));
    });

    it("goes on with no login", async () => {
      const { flow_id, flow_secret } = waiting;
      await refusedOnSocket(waiting.socket.call("auth/login/step", { flow_id, user_input }));
      await refusedOnSocket(waiting.socket.call("auth/login/resume", { flow_id, flow_secret }));
    });

    it("refreshes nothing on the socket, before and after auth_ok", async () => {
      const { refresh_token } = grant;
      await refusedOnSocket(waiting.socket.call("auth/login/refresh", { refresh_token }));
      await refusedOnSocket(served.call("auth/refresh", { refresh_token }));
      expect(await served.call("auth/current_user")).toMatchObject({ success: true });
    });

    it("refreshes nothing over HTTP", async () => {
      await refusedOverHttp(refreshOverHttp(), { error: "temporarily_unavailable" });
    });

    it("exchanges no code", async () => {
      await refusedOverHttp(exchange(), { error: "temporarily_unavailable" });
    });

    it("honours no signed path, and refuses a forged one as ever", async () => {
      await refusedOverHttp(fetch(node.url + signed), { code: "unavailable" });
      expect((await fetch(`${node.url}${signed}&other=1`)).status).toBe(401);
    });

    it("gives no long-lived token and signs no path", async () => {
      const token = { client_name: "a dashboard", lifespan: 1 };
      await refusedOnSocket(served.call("auth/long_lived_access_token", token));
      await refusedOnSocket(served.call("auth/sign_path", { path: "/api/" }));
    });

    it("takes all of it once its tail is back: nothing was used up", async () => {
      proxy.pass();
      await untilTrusted(true);
      const { socket, flow_id } = waiting;
      // Trusted again is a moment before the log is read on: until then the step is refused, and uses nothing up.
      const answer = await vi.waitUntil(
        async () => {
          const { success, result } = await socket.call("auth/login/step", { flow_id, user_input });
          return success === true ? { result } : undefined;
        },
        { timeout: 15_000, interval: 200 },
      );
      expect(answer).toMatchObject({ result: { type: "create_entry" } });
      expect((await exchange()).status).toBe(200);
      expect((await fetch(node.url + signed)).status).toBe(200);
      expect((await refreshOverHttp()).status).toBe(200);
    });
  },
);

// Redis was killed and came back without its data: the node has its lease still, and its tail has not read the log again.
describe("a node that has lost its place in the log and still holds its lease", () => {
  async function lost(parts: GatewayParts = {}) {
    const redis = await startRedis();
    const proxy = await startFaultProxy({ host: "127.0.0.1", port: redis.port });
    const node = await startNode({ store: `redis://127.0.0.1:${proxy.port}` }, parts);
    const { view } = node.authority.revocation;
    onTestFinished(async () => {
      await node.stop();
      await proxy.stop();
      await redis.dispose();
    });
    const owner = await setUpOwner(node.authority);
    const { socket: served, grant } = await loggedIn(node);
    onTestFinished(() => served.terminate());
    // From now on the view alone cannot judge the token.
    await node.authority.users.update(owner.id, { name: "Paula P." });
    const socket = await openSocket(node.port);
    await vi.waitUntil(() => view.followGeneration !== undefined, { timeout: 15_000, interval: 20 });
    expect(await socket.call("auth/login/start", { handler })).toMatchObject({ success: true });

    await redis.kill();
    proxy.separateSenders("xrange");
    await redis.restart();
    const answers = () =>
      node.authority.users.list().then(
        () => true,
        () => false,
      );
    await vi.waitUntil(answers, { timeout: 15_000, interval: 5 });
    expect(view.trusted).toBe(true);
    return { node, proxy, view, socket, grant };
  }

  const post = (node: Node, path: string, fields: Record<string, string>) =>
    fetch(node.url + path, { method: "POST", body: new URLSearchParams(fields) });
  const unavailable = { code: closeCodes.unavailable.number };

  it("lets nobody in who was taken off, nor anybody else, until it knows what the store remembers", async () => {
    const { view, socket, proxy } = await lost();
    const start = () => socket.call("auth/login/start", { handler });
    expect([view.trusted, view.followGeneration]).toEqual([true, undefined]);
    expect(await start()).toMatchObject({ success: false, error: { code: "unavailable", retry_after: 1 } });
    proxy.pass();
    await vi.waitUntil(() => view.followGeneration !== undefined, { timeout: 20_000, interval: 20 });
    // The store is empty now, and knows of no owner.
    expect(await start()).toMatchObject({ success: false, error: { code: "onboarding_required" } });
  });

  it("tells nobody that a session is over which the store has not got", async () => {
    const { node, view, grant } = await lost();
    const comer = await openSocket(node.port);
    await comer.next();
    comer.send({ type: "auth", access_token: grant.access_token });
    expect(await comer.closed).toMatchObject(unavailable);
    const refresh = { grant_type: "refresh_token", refresh_token: grant.refresh_token };
    expect((await post(node, "/auth/token", refresh)).status).toBe(503);
    // 200 would say that it is ended.
    expect((await post(node, "/auth/revoke", { token: grant.refresh_token })).status).toBe(503);
    expect([view.trusted, view.followGeneration]).toEqual([true, undefined]);
  });

  it("would tell so if it believed whatever answers", async () => {
    const { node, grant } = await lost({ disabledSafeguards: new Set(["followed_server"]) });
    const comer = await openSocket(node.port);
    await comer.next();
    comer.send({ type: "auth", access_token: grant.access_token });
    expect(await comer.closed).toMatchObject({ code: closeCodes.user_removed.number });
    expect((await post(node, "/auth/revoke", { token: grant.refresh_token })).status).toBe(200);
  });
});
