import { afterAll, beforeAll, expect, it } from "vitest";

import { createLog } from "../../src/observability/log.ts";
import { ownerPassword, setUpOwner, startNode } from "../support/gateway.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";
import { staleTokens } from "../support/stale-session.ts";

type Node = Awaited<ReturnType<typeof startNode>>;

let redis: RedisServer;
let here: Node;
let there: Node;
let ownerId: string;
const lines: string[] = [];
beforeAll(async () => {
  redis = await startRedis();
  const log = createLog({ level: "debug", sink: { write: (line: string) => void lines.push(line) } });
  here = await startNode({ store: redis.url, log: { audit: true } }, { log });
  there = await startNode({ store: redis.url });
  ownerId = (await setUpOwner(here.authority)).id;
});
afterAll(async () => {
  for (const node of [here, there]) await node?.stop();
  await redis?.dispose();
});

const handler = ["homeassistant", null];
const correct = { username: "paula", password: ownerPassword };
const mint = { type: "auth/long_lived_access_token", lifespan: 1 };

async function enter({ port }: Node, accessToken: string): Promise<SocketClient> {
  const socket = await openSocket(port);
  await socket.authenticate(accessToken);
  await socket.call("supported_features", { features: { step_up: 1 } });
  return socket;
}

/** Sends a command that has to wait. */
async function wait(socket: SocketClient, id: number, client_name: string): Promise<string> {
  socket.send({ id, ...mint, client_name });
  const required = await socket.find((message) => message.id === id, "step_up_required");
  expect(required).toMatchObject({ type: "step_up_required", acr: "aal1", max_age: 900 });
  return String(required.flow_id);
}
const ask = async (socket: SocketClient, id: number, type: string, fields: object) => {
  socket.send({ id, type, ...fields });
  return await socket.find((message) => message.id === id, type);
};
const codeOf = ({ error }: Message) => (error as { code: string } | undefined)?.code;

it("a step-up at one node counts at the other, where its flow cannot be used", async () => {
  const { accessToken, sessionId } = await staleTokens(here.authority, ownerId);
  const [socket, other] = [await enter(here, accessToken), await enter(there, accessToken)];
  const flow_id = await wait(socket, 100, "here");
  await wait(other, 100, "there");
  await ask(socket, 101, "auth/step_up/start", { flow_id, handler });
  const stolen = { flow_id, user_input: correct };
  expect(codeOf(await ask(other, 101, "auth/step_up/step", stolen))).toBe("invalid_flow");
  expect(codeOf(await ask(other, 102, "auth/step_up/start", { flow_id, handler }))).toBe("invalid_flow");
  const done = await ask(socket, 102, "auth/step_up/step", { flow_id, user_input: correct });
  expect(done).toMatchObject({ result: { type: "create_entry", result: sessionId } });
  expect(await socket.find(({ id }) => id === 100, "the answer")).toMatchObject({ success: true });
  expect(await ask(other, 103, mint.type, { ...mint, client_name: "there, later" })).toMatchObject({
    success: true,
  });
  const names = (await here.authority.sessions.list(ownerId)).map(({ clientName }) => clientName);
  expect(names).toEqual(expect.arrayContaining(["here", "there, later"]));
  expect(names).not.toContain("there");
  for (const each of [socket, other]) each.close();
});

it("what is required, done and failed has audit records and metrics, and no secret is in them", async () => {
  const { accessToken, sessionId } = await staleTokens(here.authority, ownerId);
  const socket = await enter(here, accessToken);
  const first = await wait(socket, 100, "cancelled");
  await ask(socket, 101, "auth/step_up/cancel", { flow_id: first });
  expect(socket.received).toContainEqual(
    expect.objectContaining({ id: 100, error: expect.objectContaining({ code: "step_up_failed" }) }),
  );
  const flow_id = await wait(socket, 102, "done");
  await ask(socket, 103, "auth/step_up/start", { flow_id, handler });
  await ask(socket, 104, "auth/step_up/step", {
    flow_id,
    user_input: { ...correct, password: "wrong-secret" },
  });
  await ask(socket, 105, "auth/step_up/step", { flow_id, user_input: correct });
  const records = lines
    .map((line) => JSON.parse(line) as Message)
    .filter(
      ({ audit, session_id }) =>
        String(audit).startsWith("step_up") && (session_id ?? sessionId) === sessionId,
    )
    .filter(({ audit, session_id }) => session_id === sessionId || audit === "step_up");
  const who = { user_id: ownerId, session_id: sessionId, address: "127.0.0.1" };
  const required = { audit: "step_up_required", outcome: "denied", ...who, acr: "aal1", command: mint.type };
  expect(records).toMatchObject([
    required,
    { audit: "step_up", outcome: "denied", ...who, reason: "cancelled" },
    required,
    { audit: "step_up", outcome: "denied", reason: "invalid_auth", provider: "homeassistant" },
    { audit: "step_up", outcome: "allowed", session_id: sessionId, provider: "homeassistant" },
  ]);
  const metrics = await (await fetch(`${here.url}/metrics`)).text();
  for (const result of ["required", "done", "failed"])
    expect(metrics).toMatch(new RegExp(`gatehouse_step_ups_total\\{result="${result}"\\} [1-9]`));
  for (const secret of [ownerPassword, "wrong-secret", accessToken])
    expect(lines.join("\n")).not.toContain(secret);
  socket.close();
});

it("over HTTP the answer is the challenge of RFC 9470, and a login as good as asked for", async () => {
  const { accessToken } = await staleTokens(here.authority, ownerId);
  const headers = { authorization: `Bearer ${accessToken}`, "content-type": "application/json" };
  const body = JSON.stringify({ client_id: "https://app.example/", code: "0".repeat(32) });
  const refused = await fetch(`${here.url}/auth/link_user`, { method: "POST", headers, body });
  expect(refused.status).toBe(401);
  expect(await refused.json()).toMatchObject({ code: "recent_login_required" });
  expect(refused.headers.get("www-authenticate")).toBe(
    'Bearer error="insufficient_user_authentication", error_description="Log in again to do this", acr_values="aal1", max_age="900"',
  );
  const metadata = await (await fetch(`${here.url}/.well-known/oauth-authorization-server`)).json();
  expect(metadata).toMatchObject({ acr_values_supported: ["aal1", "aal2"] });
});

it("a reset code is no password in a step-up: the old one and the session stay", async () => {
  const made = { name: "ada", username: "ada", password: ownerPassword, groupIds: ["system-users"] };
  const { id } = await here.authority.localLogins.createUser(made);
  const { code } = await here.authority.localLogins.createResetCode(id, true);
  const socket = await enter(here, (await staleTokens(here.authority, id)).accessToken);
  const flow_id = await wait(socket, 100, "a script");
  await ask(socket, 101, "auth/step_up/start", { flow_id, handler });
  const step = (requestId: number, password: string) =>
    ask(socket, requestId, "auth/step_up/step", { flow_id, user_input: { username: "ada", password } });
  expect(await step(102, code)).toMatchObject({ result: { errors: { base: "invalid_auth" } } });
  expect(await step(103, ownerPassword)).toMatchObject({ result: { type: "create_entry" } });
  expect(await socket.find(({ id }) => id === 100, "the answer")).toMatchObject({ success: true });
  socket.close();
});
