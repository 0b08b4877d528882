import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { CloseName } from "../../protocol/close-codes.ts";
import { closeCodes } from "../../protocol/close-codes.ts";
import type { SessionGrant } from "../../protocol/flow.ts";
import { eventually } from "../support/eventually.ts";
import { ownerPassword, type RunningGateway, setUpOwner, startNode } from "../support/gateway.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";

type Node = Omit<RunningGateway, "owner" | "ownerPassword">;
const handler = ["homeassistant", null];
const guestPassword = "a guest's long password";

describe("two gateways on one Redis", () => {
  let redis: RedisServer;
  let a: Node;
  let b: Node;
  let admin: SocketClient;
  let adminId: string;
  let guests = 0;

  beforeAll(async () => {
    redis = await startRedis();
    a = await startNode({ store: redis.url });
    b = await startNode({ store: redis.url, transport: "uws" });
    adminId = (await setUpOwner(a.authority)).id;
    admin = (await logIn(a, "paula", ownerPassword)).socket;
  });
  afterAll(async () => {
    admin?.close();
    await a?.stop();
    await b?.stop();
    await redis?.dispose();
  });

  async function startFlow(socket: SocketClient) {
    const answer = await socket.call("auth/login/start", { handler });
    return answer.result as { flow_id: string; flow_secret: string };
  }

  async function logIn(node: Node, username: string, password: string, codec: "json" | "msgpack" = "json") {
    const socket = await openSocket(node.port, { codec });
    const { flow_id } = await startFlow(socket);
    const answer = await socket.call("auth/login/step", { flow_id, user_input: { username, password } });
    const { result: grant } = answer.result as { result: SessionGrant };
    await socket.find((message) => message.type === "auth_ok", "auth_ok");
    return { socket, grant };
  }

  /** A guest, made on A, with a socket on B. */
  async function guest() {
    guests += 1;
    const username = `guest-${guests}`;
    const created = await admin.call("config/auth/create", { name: username, group_ids: ["system-users"] });
    const { id } = (created.result as { user: { id: string } }).user;
    const login = { user_id: id, username, password: guestPassword };
    expect(await admin.call("config/auth_provider/homeassistant/create", login)).toMatchObject({
      success: true,
    });
    return { id, username, ...(await logIn(b, username, guestPassword, "msgpack")) };
  }

  const paths: readonly [
    what: string,
    close: CloseName,
    act: (who: Awaited<ReturnType<typeof guest>>) => unknown,
  ][] = [
    [
      "POST /auth/revoke",
      "session_revoked",
      ({ grant }) => post(a, "/auth/revoke", { token: grant.refresh_token }),
    ],
    [
      "deactivation",
      "user_deactivated",
      ({ id }) => admin.call("config/auth/update", { user_id: id, is_active: false }),
    ],
    ["removal of the user", "user_removed", ({ id }) => admin.call("config/auth/delete", { user_id: id })],
    [
      "a password set by the owner",
      "password_changed",
      ({ id }) =>
        admin.call("config/auth_provider/homeassistant/admin_change_password", {
          user_id: id,
          password: "another long password",
        }),
    ],
    [
      "removal of the credential",
      "credential_removed",
      ({ username }) => admin.call("config/auth_provider/homeassistant/delete", { username }),
    ],
    [
      "reuse of a refresh token",
      "token_reused",
      async ({ grant }) => {
        const node = a.authority.sessions;
        const peer = { address: "127.0.0.1" };
        const second = await node.refresh({ refreshToken: grant.refresh_token, peer });
        const third = await node.refresh({ refreshToken: second.refreshToken ?? "", peer });
        expect(third.refreshToken).not.toBe(second.refreshToken);
        await node.refresh({ refreshToken: third.refreshToken ?? "", peer });
        // Three steps behind, and not one of several tabs: the session's clock is moved past that window.
        await expect(reuseLater(redis, a, grant)).rejects.toMatchObject({ code: "token_reused" });
      },
    ],
  ];

  it.each(paths)("%s on A closes the socket on B with %s", async (_, close, act) => {
    const who = await guest();
    await act(who);
    expect(await who.socket.closed).toMatchObject({ code: closeCodes[close].number });
  });

  it("a user's own password change on A closes the user's other sockets on B, and keeps the one that made it", async () => {
    const who = await guest();
    const own = await logIn(a, who.username, guestPassword);
    const change = { current_password: guestPassword, new_password: "yet another password" };
    expect(await own.socket.call("config/auth_provider/homeassistant/change_password", change)).toMatchObject(
      {
        success: true,
      },
    );
    expect(await who.socket.closed).toMatchObject({ code: closeCodes.password_changed.number });
    expect(await own.socket.call("ping")).toMatchObject({ type: "pong" });
    own.socket.close();
  });

  it("a lost right counts on live sockets of the other node at once", async () => {
    const who = await guest();
    await admin.call("config/auth/update", { user_id: who.id, group_ids: ["system-admin"] });
    await eventually("it to hold", async () => (await who.socket.call("config/auth/list")).success === true);
    await admin.call("config/auth/update", { user_id: who.id, group_ids: ["system-users"] });
    await eventually("it to hold", async () => (await who.socket.call("config/auth/list")).success === false);
    expect(await who.socket.call("config/auth/list")).toMatchObject({ error: { code: "unauthorized" } });
    who.socket.close();
  });

  it("goes on with a half-finished login on the other node", async () => {
    const first = await openSocket(a.port);
    const { flow_id, flow_secret } = await startFlow(first);
    await first.call("auth/login/step", {
      flow_id,
      user_input: { username: "paula", password: "wrong password" },
    });
    first.terminate();

    const second = await openSocket(b.port);
    const resumed = await second.call("auth/login/resume", { flow_id, flow_secret });
    expect(resumed).toMatchObject({ success: true, result: { type: "form", step_id: "init" } });
    const user_input = { username: "paula", password: ownerPassword };
    const last = await second.call("auth/login/step", { flow_id, user_input });
    expect(last).toMatchObject({ result: { type: "create_entry" } });
    await second.find((message) => message.type === "auth_ok", "auth_ok");
    second.close();
  });

  it("tokens of one node are good on the other, whichever codec and transport", async () => {
    const { grant, socket } = await logIn(a, "paula", ownerPassword);
    for (const codec of ["json", "msgpack"] as const) {
      const other = await openSocket(b.port, { codec });
      expect(await other.authenticate(grant.access_token)).toMatchObject({ type: "auth_ok" });
      other.close();
    }
    socket.close();
  });

  it("50 refreshes of one token on both nodes at once leave one live generation and nobody logged out", async () => {
    const { grant, socket } = await logIn(a, "paula", ownerPassword);
    const peer = { address: "127.0.0.1" };
    const refreshToken = grant.refresh_token;
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        (index % 2 === 0 ? a : b).authority.sessions.refresh({ refreshToken, peer }),
      ),
    );
    expect(new Set(answers.map((answer) => answer.refreshToken)).size).toBe(1);
    const session = await b.authority.sessions.get(grant.session_id);
    expect(session?.generation).toBe(2);
    expect(await socket.call("ping")).toMatchObject({ type: "pong" });
    socket.close();
  });

  it("one owner of 50 parallel onboardings on both nodes", async () => {
    const own = await startRedis();
    const nodes = [await startNode({ store: own.url }), await startNode({ store: own.url })] as const;
    const attempts = Array.from({ length: 50 }, (_, index) =>
      setUpOwner(nodes[index % 2 === 0 ? 0 : 1].authority),
    );
    const results = await Promise.allSettled(attempts);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await nodes[1].authority.users.list()).filter((user) => user.isOwner)).toHaveLength(1);
    for (const node of nodes) await node.stop();
    await own.dispose();
  });

  it("knows its own administrator", () => expect(adminId).toMatch(/^[0-9a-f]{32}$/));
});

async function post(node: Node, path: string, fields: Record<string, string>): Promise<void> {
  const answer = await fetch(`${node.url}${path}`, { method: "POST", body: new URLSearchParams(fields) });
  expect(answer.status).toBe(200);
}

/** The same first token again, once its session's last rotation is longer ago than tabs take. */
async function reuseLater(redis: RedisServer, node: Node, grant: SessionGrant): Promise<unknown> {
  const key = (await redis.command("KEYS", `*session:${grant.session_id}`)).trim();
  const [version = "", ...json] = (await redis.command("GET", key)).split("|");
  const record = JSON.parse(json.join("|")) as { rotatedAt: number };
  record.rotatedAt -= 60_000;
  await redis.command("SET", key, `${version}|${JSON.stringify(record)}`);
  return await node.authority.sessions.refresh({
    refreshToken: grant.refresh_token,
    peer: { address: "127.0.0.1" },
  });
}
