import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import type { FlowStep } from "../../protocol/flow.ts";
import { GatewayClient } from "../../src/client/index.ts";
import type { WebSocketConstructor } from "../../src/client/message-socket.ts";
import { startProcess } from "../support/child-process.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import {
  type RunningGateway,
  setUpOwner,
  startNode,
  storeKinds,
  transportNames,
} from "../support/gateway.ts";
import { outsideProvider } from "../support/outside-provider.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import {
  type Message,
  openSocket,
  type SocketClient,
  type SocketClientOptions,
} from "../support/socket-client.ts";
import { within } from "../support/within.ts";

type Node = Omit<RunningGateway, "owner" | "ownerPassword">;

const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function node(config: Parameters<typeof startNode>[0]): Promise<Node> {
  const started = await startNode(config, { providers: () => [outsideProvider("paula")] });
  ends.push(() => started.stop());
  return started;
}

async function redisServer(): Promise<RedisServer> {
  const redis = await startRedis();
  ends.push(() => redis.dispose());
  return redis;
}

const handler = ["homeassistant", null] as const;
const peer = { address: "127.0.0.1" };

interface Waiting {
  readonly socket: SocketClient;
  readonly requestId: unknown;
  readonly step: Message;
}

async function begin(port: number, options?: SocketClientOptions): Promise<Waiting> {
  const socket = await openSocket(port, options);
  ends.push(() => socket.close());
  const answer = await socket.call("auth/login/start", { handler });
  return { socket, requestId: answer.id, step: answer.result as Message };
}

async function resume(port: number, { step }: Waiting): Promise<Waiting> {
  const socket = await openSocket(port);
  ends.push(() => socket.close());
  const claim = { flow_id: step.flow_id, flow_secret: step.flow_secret };
  const answer = await socket.call("auth/login/resume", claim);
  return { socket, requestId: answer.id, step: answer.result as Message };
}

const complete = ({ authority }: Node, { step }: Waiting, answer: string, stepId = "browser") =>
  authority.logins.completeExternalStep({ flowId: String(step.flow_id), stepId, input: { answer } }, peer);
const pushed = async ({ socket }: Waiting) => (await socket.next()) as Message;

describe.each(storeKinds)("one node, %s store", (store) => {
  it.each(
    transportNames.flatMap((transport) =>
      (["json", "msgpack"] as const).map((codec) => ({ transport, codec })),
    ),
  )("pushes steps and logs the socket in, $transport $codec", async ({ transport, codec }) => {
    const shared = store === "redis" ? { store: (await redisServer()).url } : {};
    const gateway = await node({ transport, ...shared });
    await setUpOwner(gateway.authority);
    const waiting = await begin(gateway.port, { codec });
    expect(waiting.step).toMatchObject({ type: "external", flow_secret: expect.any(String) });
    const { flow_secret: _, ...step } = waiting.step;
    const refused = {
      code: "not_supported",
      message: "This step takes no input. The next step comes as an event",
    };
    expect(
      await waiting.socket.call("auth/login/step", { flow_id: step.flow_id, user_input: {} }),
    ).toMatchObject({
      success: false,
      error: refused,
    });
    await complete(gateway, waiting, "progress");
    const about = { id: waiting.requestId, type: "event" };
    expect(await pushed(waiting)).toEqual({
      ...about,
      event: {
        type: "progress",
        flow_id: step.flow_id,
        handler,
        step_id: "approval",
        progress_action: "wait_for_approval",
        description_placeholders: { code: "4711" },
      },
    });
    await complete(gateway, waiting, "yes", "approval");
    expect(await pushed(waiting)).toMatchObject({ ...about, event: { type: "create_entry" } });
    expect(await pushed(waiting)).toMatchObject({ type: "auth_ok" });
    expect(await waiting.socket.call("auth/current_user")).toMatchObject({ success: true });
  });
});

describe("two nodes on one Redis", () => {
  async function twoNodes() {
    const redis = await redisServer();
    const [a, b] = [await node({ store: redis.url }), await node({ store: redis.url, transport: "uws" })];
    await setUpOwner(a.authority);
    return { redis, a, b };
  }

  it("push to the socket of the other, and of fifty completions one counts", async () => {
    const { a, b } = await twoNodes();
    const waiting = await begin(a.port);
    const calls = Array.from({ length: 50 }, (_, n) => complete(n % 2 === 0 ? a : b, waiting, "yes"));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await pushed(waiting)).toMatchObject({ event: { type: "create_entry" } });
    expect(await pushed(waiting)).toMatchObject({ type: "auth_ok" });
  });

  it("lose no step if its event is lost: the socket gets it after the gap, or by a resume", async () => {
    const { redis, a } = await twoNodes();
    const line = await startFaultProxy({ host: "127.0.0.1", port: redis.port });
    ends.push(() => line.stop());
    const deaf = await node({ store: `redis://127.0.0.1:${line.port}` });
    const [first, second] = [await begin(deaf.port), await begin(deaf.port)];
    let lost = 0;
    line.remove("toClient", (chunk) => {
      if (!chunk.includes("login_flow")) return chunk;
      lost += 1;
      return Buffer.alloc(0);
    });
    await complete(a, first, "yes");
    await complete(a, second, "yes");
    await within(
      (async () => {
        while (lost === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      })(),
      "the event to be lost",
    );
    const resumed = await resume(a.port, second);
    expect(resumed.step).toMatchObject({ type: "create_entry" });
    expect(await pushed(resumed)).toMatchObject({ type: "auth_ok" });
    line.pass();
    await redis.command("CLIENT", "KILL", "TYPE", "pubsub");
    expect(await pushed(first)).toMatchObject({ event: { type: "create_entry" } });
    expect(await pushed(first)).toMatchObject({ type: "auth_ok" });
    expect(await pushed(second)).toMatchObject({ event: { type: "abort", reason: "ended_elsewhere" } });
  });

  it("continue a flow at the other node if the socket's node is killed", async () => {
    const { redis, a } = await twoNodes();
    const doomed = startProcess({
      script: new URL("./outside-process.ts", import.meta.url),
      args: [redis.url],
    });
    ends.push(() => doomed.kill("SIGKILL"));
    const port = Number((await doomed.line(/^port \d+$/)).split(" ")[1]);
    const waiting = await begin(port);
    doomed.kill("SIGKILL");
    await within(waiting.socket.closed, "the socket's end");
    await complete(a, waiting, "progress");
    const resumed = await resume(a.port, waiting);
    expect(resumed.step).toMatchObject({ type: "progress", flow_secret: waiting.step.flow_secret });
    await complete(a, waiting, "yes", "approval");
    expect(await pushed(resumed)).toMatchObject({ id: resumed.requestId, event: { type: "create_entry" } });
    expect(await pushed(resumed)).toMatchObject({ type: "auth_ok" });
  });
});

describe("the client", () => {
  async function clientOf(gateway: Node) {
    const sockets: WebSocket[] = [];
    class Observed extends WebSocket {
      constructor(url: string, protocols?: string | string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    }
    const client = new GatewayClient({
      url: gateway.url,
      WebSocket: Observed as unknown as WebSocketConstructor,
      backoff: { baseMs: 5, capMs: 50 },
    });
    ends.push(() => client.close());
    return { client, sockets };
  }

  it("waits for pushed steps, also for those that came before it asked, and is ready after the last", async () => {
    const gateway = await node({});
    await setUpOwner(gateway.authority);
    const { client } = await clientOf(gateway);
    const login = await client.login({ handler: [...handler] });
    const flow = { step: login.step } as unknown as Waiting;
    expect(login.step).toMatchObject({ type: "external", url: expect.stringContaining("elsewhere.test") });
    await complete(gateway, flow, "progress");
    expect(await within(login.next(), "the first step")).toMatchObject({
      progress_action: "wait_for_approval",
    });
    const came = new Promise<FlowStep>((resolve) => {
      login.onStep = resolve;
    });
    await complete(gateway, flow, "external", "approval");
    await within(came, "a step before it is asked for");
    expect(await within(login.next(), "that step")).toMatchObject({ type: "external" });
    const last = login.next();
    await complete(gateway, flow, "yes");
    expect(await within(last, "the session")).toMatchObject({ type: "create_entry" });
    expect(client.state).toBe("ready");
    await expect(login.next()).rejects.toMatchObject({ code: "invalid_flow" });
  });

  it("keeps waiting across lost sockets, and gets what was completed meanwhile", async () => {
    const gateway = await node({});
    await setUpOwner(gateway.authority);
    const { client, sockets } = await clientOf(gateway);
    const login = await client.login({ handler: [...handler] });
    const flow = { step: login.step } as unknown as Waiting;
    const waiting = login.next();
    sockets[0]?.terminate();
    await complete(gateway, flow, "progress");
    expect(await within(waiting, "the step")).toMatchObject({ type: "progress" });
    const last = login.next();
    sockets.at(-1)?.terminate();
    await complete(gateway, flow, "yes", "approval");
    expect(await within(last, "the session")).toMatchObject({ type: "create_entry" });
    expect(client.state).toBe("ready");
  });

  it("stops waiting if the flow is refused, cancelled, or given up", async () => {
    const gateway = await node({});
    await setUpOwner(gateway.authority);
    const { client } = await clientOf(gateway);
    const refused = await client.login({ handler: [...handler] });
    await complete(gateway, { step: refused.step } as unknown as Waiting, "no");
    expect(await within(refused.next(), "the end")).toMatchObject({ type: "abort", reason: "refused" });
    await expect(refused.next()).rejects.toMatchObject({ code: "invalid_flow" });
    const given = await client.login({ handler: [...handler] });
    const waiting = given.next();
    client.close();
    await expect(within(waiting, "the end")).rejects.toMatchObject({ code: "not_connected" });
  });
});
