import { chmodSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gatehouseJson } from "../support/command-line.ts";
import { ownerPassword, type RunningGateway, setUpOwner, startNode } from "../support/gateway.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

type Node = Omit<RunningGateway, "owner" | "ownerPassword">;
interface Waiting {
  readonly user_id: string;
  readonly subject: string;
  readonly code: string;
}

const folder = temporaryFolder();
/** Lets in everybody whose password is their name backwards. */
const program = path.join(folder.path, "login");
writeFileSync(program, '#!/bin/sh\n[ "$(printf %s "$username" | rev)" = "$password" ]\n');
chmodSync(program, 0o755);
const providers = [{ type: "homeassistant" }, { type: "command_line", command: program }] as const;

async function logIn(
  node: Node,
  handler: string,
  username: string,
  password: string,
  codec: "json" | "msgpack",
) {
  const socket = await openSocket(node.port, { codec });
  const begun = await socket.call("auth/login/start", { handler: [handler, null], client_name: "A phone" });
  const { flow_id } = begun.result as { flow_id: string };
  const answer = await socket.call("auth/login/step", { flow_id, user_input: { username, password } });
  return {
    socket,
    startId: begun.id,
    step: answer.result as { type: string; description_placeholders: { code: string } },
  };
}

const ask = (node: Node, name: string, codec: "json" | "msgpack" = "json") =>
  logIn(node, "command_line", name, [...name].reverse().join(""), codec);

async function owner(node: Node): Promise<SocketClient> {
  const { socket } = await logIn(node, "homeassistant", "paula", ownerPassword, "json");
  await socket.find(({ type }) => type === "auth_ok", "auth_ok");
  await socket.call("subscribe_events", { event_type: "approval_requested" });
  return socket;
}

const requested = async (socket: SocketClient, subject: string) => {
  const found = await socket.find(
    ({ type, event }) => type === "event" && (event as { data: Waiting }).data.subject === subject,
    "approval_requested",
  );
  return (found.event as { data: Waiting }).data;
};
const pushed = async (socket: SocketClient, id: unknown) =>
  (await socket.find((message) => message.type === "event" && message.id === id, "the next step")).event;
const entered = (socket: SocketClient) => socket.find(({ type }) => type === "auth_ok", "auth_ok");

afterAll(() => folder.remove());

describe("approval, with two nodes on one Redis", () => {
  let redis: RedisServer;
  let a: Node;
  let b: Node;
  let boss: SocketClient;

  beforeAll(async () => {
    redis = await startRedis();
    a = await startNode({ store: redis.url, auth_providers: providers });
    b = await startNode({ store: redis.url, transport: "uws", auth_providers: providers });
    await setUpOwner(a.authority);
    boss = await owner(b);
  });
  afterAll(async () => {
    boss?.close();
    await a?.stop();
    await b?.stop();
    await redis?.dispose();
  });

  it.each([
    ["JSON on ws", () => a, "json"],
    ["msgpack on uws", () => b, "msgpack"],
  ] as const)("authenticates the socket that waits, %s", async (name, node, codec) => {
    const { socket, startId, step } = await ask(node(), `gus ${name}`, codec);
    expect(step).toMatchObject({ type: "progress", progress_action: "wait_for_approval" });
    const waiting = await requested(boss, `gus ${name}`);
    expect(waiting).toMatchObject({
      code: step.description_placeholders.code,
      provider: ["command_line", null],
      client_name: "A phone",
      address: "127.0.0.1",
    });
    const { result } = await boss.call("gatehouse/approvals/list");
    expect((result as { waiting: Waiting[] }).waiting).toContainEqual(waiting);
    const { user_id } = waiting;
    expect(await boss.call("gatehouse/approvals/approve", { user_id })).toMatchObject({
      result: { user: { id: user_id, is_active: true, group_ids: ["system-users"] } },
    });
    expect(await pushed(socket, startId)).toMatchObject({ type: "create_entry" });
    await entered(socket);
    expect(await socket.call("auth/current_user")).toMatchObject({ result: { id: user_id } });
    // Who is not the owner neither hears of it nor decides.
    expect(await socket.call("gatehouse/approvals/list")).toMatchObject({ error: { code: "unauthorized" } });
    socket.close();
  });
  it("ends the login of a user who is refused, and tells further decisions so", async () => {
    const { socket, startId } = await ask(a, "hugo");
    const { user_id } = await requested(boss, "hugo");
    expect(await boss.call("gatehouse/approvals/refuse", { user_id })).toMatchObject({ result: null });
    expect(await pushed(socket, startId)).toMatchObject({ type: "abort", reason: "not_approved" });
    expect(await boss.call("gatehouse/approvals/approve", { user_id })).toMatchObject({
      error: { code: "not_found" },
    });
    socket.close();
  });
  it("is not made by an administrator in other ways", async () => {
    const admin = await ask(a, "jana");
    const { user_id } = await requested(boss, "jana");
    await boss.call("gatehouse/approvals/approve", { user_id, group_ids: ["system-admin"] });
    await entered(admin.socket);
    const { socket } = await ask(a, "kurt");
    const kurt = await requested(boss, "kurt");
    expect(kurt).toMatchObject({ group_ids: ["system-users"] });
    const unauthorized = { error: { code: "unauthorized" } };
    for (const change of [
      { is_active: true },
      { group_ids: ["system-admin"] },
      { is_active: false },
      { name: "K" },
    ])
      expect(
        await admin.socket.call("config/auth/update", { user_id: kurt.user_id, ...change }),
      ).toMatchObject(unauthorized);
    expect(await admin.socket.call("config/auth/delete", { user_id: kurt.user_id })).toMatchObject(
      unauthorized,
    );
    const { result } = await admin.socket.call("config/auth/list");
    expect(result).toContainEqual(
      expect.objectContaining({ id: kurt.user_id, state: "pending", is_active: false }),
    );
    expect(await boss.call("config/auth/update", { user_id: kurt.user_id, is_active: true })).toMatchObject({
      success: true,
    });
    await entered(socket);
    for (const each of [admin.socket, socket]) each.close();
  });
  it("is for an administrator only if the configuration says so", async () => {
    const asked = await ask(a, "ines");
    const { user_id } = await requested(boss, "ines");
    await boss.call("gatehouse/approvals/approve", { user_id, group_ids: ["system-admin"] });
    await entered(asked.socket);
    expect(await asked.socket.call("config/auth/list")).toMatchObject({ success: true });
    expect(await asked.socket.call("gatehouse/approvals/list")).toMatchObject({
      error: { code: "unauthorized" },
    });
    asked.socket.close();
    const c = await startNode({
      store: redis.url,
      auth_providers: providers,
      approvals: { by: "administrators" },
    });
    const { socket } = await ask(c, "ines");
    await entered(socket);
    expect(await socket.call("gatehouse/approvals/list")).toMatchObject({ result: { waiting: [] } });
    socket.close();
    await c.stop();
  });
});

describe("approval on the embedded store", () => {
  it("by the command line authenticates the socket that waits", async () => {
    const data = temporaryFolder();
    const secret = "a secret that is long enough for a gateway";
    const node = await startNode({ data: data.path, secret, auth_providers: providers });
    try {
      await setUpOwner(node.authority);
      const env = {
        GATEHOUSE_SECRET: secret,
        GATEHOUSE_DATA: data.path,
        GATEHOUSE_AUTH_PROVIDERS: JSON.stringify(providers),
      };
      const yes = await ask(node, "gus");
      const no = await ask(node, "hugo");
      const waiting = await gatehouseJson<Waiting[]>(["approvals", "list"], { env });
      expect(waiting.map(({ subject, code }) => [subject, code])).toEqual([
        ["gus", yes.step.description_placeholders.code],
        ["hugo", no.step.description_placeholders.code],
      ]);
      const [gus, hugo] = waiting;
      const approve = ["approvals", "approve", gus?.user_id ?? "", "--group", "system-read-only"];
      expect(await gatehouseJson(approve, { env })).toMatchObject({ group_ids: ["system-read-only"] });
      await entered(yes.socket);
      await gatehouseJson(["approvals", "refuse", hugo?.user_id ?? ""], { env });
      expect(await pushed(no.socket, no.startId)).toMatchObject({ reason: "not_approved" });
      yes.socket.close();
      no.socket.close();
    } finally {
      await node.stop();
      data.remove();
    }
  });
});
