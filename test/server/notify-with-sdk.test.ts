import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import type { FormStep } from "../../protocol/flow.ts";
import {
  createMemoryTokenStore,
  GatewayClient,
  type GatewayError,
  type LoginFlow,
  type WebSocketConstructor,
} from "../../src/client/index.ts";
import { type CodeWebhook, startCodeWebhook, wrongCode } from "../support/code-webhook.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import { proofScrypt, proving, rememberedScrypt } from "../support/scram-client.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";

const account = { username: "paula", password: ownerPassword };
const name = "Paula";
const handler: [string, null] = ["homeassistant", null];

let hook: CodeWebhook;
let node: Awaited<ReturnType<typeof startNode>>;
const clients: GatewayClient[] = [];
// Each test has a person with all messages left, and so a node of its own.
async function start() {
  hook = await startCodeWebhook();
  node = await startNode({
    auth_mfa_modules: [{ type: "notify", webhook: hook.url }],
    password: { scrypt_n: proofScrypt.N, scrypt_r: proofScrypt.r, scrypt_p: proofScrypt.p, workers: 1 },
  });
  await setUpOwner(node.authority);
}
async function stop() {
  for (const client of clients.splice(0)) client.close();
  await node?.stop();
  await hook?.stop();
}

/** `scram`: whether the password is proved, or sent. */
async function begin(scram: "require" | "never") {
  const tokens = createMemoryTokenStore();
  const client = new GatewayClient({
    url: node.url,
    tokens,
    scram,
    scrypt: rememberedScrypt,
    WebSocket: WebSocket as unknown as WebSocketConstructor,
  });
  clients.push(client);
  return { client, tokens, flow: await client.login({ handler }) };
}

/** By the owner's own client, which stays logged in. */
async function setUp(): Promise<GatewayClient> {
  const { client, flow } = await begin("never");
  await flow.submit(account);
  const { flow_id } = await client.call("auth/setup_mfa", { mfa_module_id: "notify" });
  await client.call("auth/setup_mfa", { flow_id, user_input: { target: "+1 555" } });
  const done = { flow_id, user_input: { code: hook.latest(name) } };
  expect(await client.call("auth/setup_mfa", done)).toMatchObject({ type: "create_entry" });
  return client;
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "nothing was thrown",
    ({ code }: GatewayError) => code,
  );
const form = { type: "form", step_id: "mfa", data_schema: [{ name: "code" }] };
const refused = { ...form, errors: { base: "invalid_code" } };
async function reachCode(flow: LoginFlow): Promise<string> {
  expect(await flow.submit(account)).toMatchObject({ ...form, errors: {} });
  return hook.latest(name);
}

describe.each([
  ["a proof of the password", "require"],
  ["a password", "never"],
] as const)("after %s the SDK", (_, scram) => {
  beforeAll(async () => {
    await start();
    await setUp();
  });
  afterAll(stop);

  it("logs in by the code that was sent, and by no code of an earlier login", async () => {
    const earlier = await reachCode((await begin(scram)).flow);
    let { client, tokens, flow } = await begin(scram);
    if ((await reachCode(flow)) === earlier) {
      // One in a million.
      ({ client, tokens, flow } = await begin(scram));
      await reachCode(flow);
    }
    const code = hook.latest(name);
    expect(await flow.submit({ code: earlier })).toMatchObject(refused);
    expect(await flow.submit({ code: wrongCode(code) })).toMatchObject(refused);
    expect(flow.done).toBe(false);
    expect(await flow.submit({ code })).toMatchObject({ type: "create_entry" });
    expect(client.state).toBe("ready");
    const { accessToken = "" } = (await tokens.load()) ?? {};
    const claims = Buffer.from(accessToken.split(".")[1] ?? "", "base64url").toString();
    expect(JSON.parse(claims)).toMatchObject({ acr: "aal2", amr: ["pwd", "otp", "mfa"] });
    expect(await client.call("auth/current_user")).toMatchObject({ name });
  });

  it("is told that the login is over after the third wrong code", async () => {
    const { client, flow } = await begin(scram);
    const code = wrongCode(await reachCode(flow));
    for (const _ of [1, 2]) expect(await flow.submit({ code })).toMatchObject(refused);
    expect(await flow.submit({ code })).toMatchObject({ type: "abort", reason: "too_many_retry" });
    expect(flow.done).toBe(true);
    expect(client.state).not.toBe("ready");
  });
});

describe("the SDK", () => {
  afterEach(stop);

  it("is told at the sixth login at once that too many messages were sent", async () => {
    await start();
    await setUp();
    for (let sent = 1; sent < 5; sent += 1) await reachCode((await begin("never")).flow);
    const { flow } = await begin("never");
    expect(await flow.submit(account)).toMatchObject({ type: "abort", reason: "too_many_messages" });
    expect(hook.received).toHaveLength(5);
  });

  it("sends a password again after a message that could not be sent", async () => {
    await start();
    await setUp();
    await triesAgain("never");
  });

  it("begins a proof again after a message that could not be sent", async () => {
    await start();
    await setUp();
    await triesAgain("require");
  });
});

async function triesAgain(scram: "require" | "never"): Promise<void> {
  const { client, flow } = await begin(scram);
  hook.status = 500;
  expect(await codeOf(flow.submit(account))).toBe("unavailable");
  expect(flow.step).toMatchObject({ type: "form", step_id: "init" });
  hook.status = 204;
  const code = await reachCode(flow);
  expect(await flow.submit({ code })).toMatchObject({ type: "create_entry" });
  expect(client.state).toBe("ready");
}

describe("a proof on a socket after which no code could be sent", () => {
  beforeAll(async () => {
    await start();
    await setUp();
  });
  afterAll(stop);

  it("is over: the form is the first one again, and another proof is begun there", async () => {
    hook.status = 500;
    const socket = await openSocket(node.port);
    const begun = (await socket.call("auth/login/start", { handler })).result as FormStep;
    const { flow_id } = begun;
    const prove = async (at: SocketClient) => {
      const proof = proving("paula");
      const send = (user_input: object) => at.call("auth/login/step", { flow_id, user_input });
      const asked = (await send(proof.input)).result as FormStep;
      const { client_final, serverFinal } = await proof.final(asked, ownerPassword);
      const answer: Message = await send({ client_final });
      return { ...answer, serverFinal };
    };
    const unavailable = { code: "unavailable", retry_after: expect.any(Number) };
    expect(await prove(socket)).toMatchObject({ error: unavailable });
    socket.close();
    // A client that has lost its socket sees where the flow is.
    const other = await openSocket(node.port);
    const { flow_secret } = begun as FormStep & { readonly flow_secret: string };
    const { result: resumed } = await other.call("auth/login/resume", { flow_id, flow_secret });
    const first = { step_id: "init", mechanisms: ["SCRAM-SCRYPT"], errors: { base: "invalid_auth" } };
    expect(resumed).toMatchObject(first);
    // The server's own proof goes out with what follows on a proof, and no form of a refusal has it.
    expect(resumed).not.toHaveProperty("server_final");
    hook.status = 204;
    const { result, serverFinal }: Message = await prove(other);
    expect(result).toMatchObject({ ...form, server_final: serverFinal });
    const code = { flow_id, user_input: { code: hook.latest(name) } };
    expect((await other.call("auth/login/step", code)).result).toMatchObject({ type: "create_entry" });
    other.close();
  });
});
