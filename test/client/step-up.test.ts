import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import {
  createMemoryTokenStore,
  type FlowStep,
  GatewayClient,
  type GatewayClientOptions,
  type GatewayError,
  type StepUpRequest,
  type WebSocketConstructor,
} from "../../src/client/index.ts";
import { type RunningGateway, setUpOwner, startGateway, startNode } from "../support/gateway.ts";
import { outsideProvider } from "../support/outside-provider.ts";
import { staleTokens } from "../support/stale-session.ts";

let gateway: RunningGateway;
beforeAll(async () => {
  // The least cost at which a password is proved and not sent.
  const password = { scrypt_n: 32_768, scrypt_p: 3, workers: 1 };
  gateway = await startGateway({ store: "embedded", transport: "ws", config: { password } });
});
afterAll(() => gateway?.stop());

/** What went out, as text. */
const sent: string[] = [];
class Recorded extends WebSocket {
  constructor(url: string, protocols?: string | string[]) {
    super(url, protocols);
    const send = this.send.bind(this) as (data: unknown) => void;
    this.send = (data: unknown) => {
      sent.push(String(data));
      send(data);
    };
  }
}

async function connected(options: Partial<GatewayClientOptions> = {}) {
  const tokens = createMemoryTokenStore(await staleTokens(gateway.authority, gateway.owner.id));
  const client = new GatewayClient({
    url: gateway.url,
    WebSocket: Recorded as unknown as WebSocketConstructor,
    tokens,
    ...options,
  });
  await client.connect();
  return { client, tokens };
}
const mint = (client: GatewayClient, client_name: string) =>
  client.call("auth/long_lived_access_token", { lifespan: 1, client_name });
const byPassword = (password: string) => async (request: StepUpRequest) => {
  const [provider] = request.providers;
  const flow = await request.start([provider?.type ?? "", provider?.id ?? null]);
  await flow.submit({ username: "paula", password });
};

it("a call resolves once the person has proved the password again, which is not sent", async () => {
  const seen: StepUpRequest[] = [];
  const { client, tokens } = await connected({
    scram: "require",
    onStepUp: async (request) => {
      seen.push(request);
      await byPassword(gateway.ownerPassword)(request);
    },
  });
  const before = (await tokens.load())?.accessToken;
  const both = await Promise.all([mint(client, "one"), mint(client, "two")]);
  expect(both).toEqual([expect.any(String), expect.any(String)]);
  expect(seen).toHaveLength(1);
  expect(seen[0]).toMatchObject({
    acr: "aal1",
    maxAge: 900,
    providers: [{ type: "homeassistant", id: null }],
  });
  expect(sent.join("\n")).not.toContain(gateway.ownerPassword);
  const after = await tokens.load();
  expect(after?.accessToken).not.toBe(before);
  // The socket is the same one, and the new token is good on another.
  expect(client.state).toBe("ready");
  const again = new GatewayClient({
    url: gateway.url,
    tokens,
    WebSocket: Recorded as unknown as WebSocketConstructor,
  });
  await again.connect();
  expect(await mint(again, "three")).toEqual(expect.any(String));
  for (const each of [client, again]) each.close();
});

it("a call rejects if the person fails, cancels, or the handler does", async () => {
  const closed = new Error("the person closed the window");
  const failing: ((request: StepUpRequest) => Promise<void>)[] = [
    async (request) => {
      const flow = await request.start(["homeassistant", null]);
      while (!flow.done) await flow.submit({ username: "paula", password: "wrong" });
      expect(flow.step).toMatchObject({ type: "abort", reason: "too_many_retry" });
    },
    (request) => request.cancel(),
    async (request) => {
      const flow = await request.start(["homeassistant", null]);
      await flow.cancel();
    },
    () => Promise.reject(closed),
  ];
  for (const onStepUp of failing) {
    const { client } = await connected({ onStepUp });
    const error = await mint(client, "never").then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    expect(error).toMatchObject({ code: "step_up_failed" });
    expect(error?.cause).toBe(failing.at(-1) === onStepUp ? closed : undefined);
    client.close();
  }
});

it("without a handler nothing is announced, and the call rejects as before", async () => {
  sent.length = 0;
  const { client } = await connected();
  await expect(mint(client, "never")).rejects.toMatchObject({ code: "recent_login_required" });
  expect(sent.join("\n")).not.toContain("step_up");
  client.close();
});

it("a flow ends with its socket, and so do the calls", async () => {
  let flowOf: Promise<unknown> = Promise.resolve();
  const { client } = await connected({
    onStepUp: async (request) => {
      const flow = await request.start(["homeassistant", null]);
      client.close();
      flowOf = flow.submit({ username: "paula", password: gateway.ownerPassword });
      flowOf.catch(() => {});
    },
  });
  await expect(mint(client, "lost")).rejects.toMatchObject({ code: "connection_lost" });
  await expect(flowOf).rejects.toMatchObject({ code: "invalid_flow" });
});

describe("a step that is completed elsewhere", () => {
  let node: Awaited<ReturnType<typeof startNode>>;
  let ownerId: string;
  beforeAll(async () => {
    node = await startNode({}, { providers: () => [outsideProvider("paula")] });
    ownerId = (await setUpOwner(node.authority)).id;
  });
  afterAll(() => node?.stop());

  const completed = (step: FlowStep, answer: string) => {
    if (step.type !== "external") throw new Error(`no external step: ${step.type}`);
    const flowId = new URL(step.url).searchParams.get("state") ?? "";
    const completion = { flowId, stepId: "browser", input: { answer } };
    return node.authority.logins.completeExternalStep(completion, { address: "127.0.0.1" });
  };

  it.each([
    ["yes", "create_entry", undefined],
    ["no", "abort", "step_up_failed"],
    ["stranger", "abort", "step_up_failed"],
  ] as const)("is pushed, and the call goes on or is given up: %s", async (answer, type, code) => {
    const ends: Promise<FlowStep>[] = [];
    const client = new GatewayClient({
      url: node.url,
      WebSocket: Recorded as unknown as WebSocketConstructor,
      tokens: createMemoryTokenStore(await staleTokens(node.authority, ownerId)),
      onStepUp: async (request) => {
        const flow = await request.start(["homeassistant", null]);
        ends.push(flow.next());
        await completed(flow.step, answer);
      },
    });
    await client.connect();
    const called = await mint(client, `outside ${answer}`).then(
      () => undefined,
      (error: GatewayError) => error.code,
    );
    const types = (await Promise.all(ends)).map((step) => step.type);
    expect([called, types]).toEqual([code, [type]]);
    client.close();
  });
});
