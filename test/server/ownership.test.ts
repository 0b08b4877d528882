import { afterAll, beforeAll, describe, expect, it } from "vitest";

import {
  type RunningGateway,
  setUpOwner,
  startGateway,
  startNode,
  storeKinds,
  transportNames,
} from "../support/gateway.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";
import { within } from "../support/within.ts";

type Place = Pick<RunningGateway, "authority" | "port">;
const password = "correct horse battery";

async function addPerson(
  { authority }: Place,
  username: string,
  groupIds = ["system-users"],
): Promise<string> {
  return (await authority.localLogins.createUser({ name: username, username, password, groupIds })).id;
}

/** A socket that has just logged in. */
async function enter({ port }: Place, username: string, codec: "json" | "msgpack" = "json") {
  const socket = await openSocket(port, { codec });
  const started = await socket.call("auth/login/start", { handler: ["homeassistant", null] });
  const { flow_id } = started.result as { flow_id: string };
  const done = await socket.call("auth/login/step", { flow_id, user_input: { username, password } });
  const { result } = done.result as { result: { session_id: string; access_token: string } };
  await socket.find(({ type }) => type === "auth_ok", "auth_ok");
  return { socket, sessionId: result.session_id, accessToken: result.access_token };
}
const transfer = (socket: SocketClient, user_id: string) =>
  socket.call("gatehouse/owner/transfer", { user_id });
const codeOf = ({ success, error }: Message) =>
  success === true ? "done" : (error as { code: string }).code;
const ownersOf = async ({ authority }: Place) =>
  (await authority.users.list()).filter(({ isOwner }) => isOwner).map(({ id }) => id);

describe.each(storeKinds.flatMap((store) => transportNames.map((transport) => ({ store, transport }))))(
  "owner and administrators at a gateway on $transport with $store",
  ({ store, transport }) => {
    let gateway: RunningGateway;
    let adaId: string;
    beforeAll(async () => {
      gateway = await startGateway({ store, transport });
      adaId = await addPerson(gateway, "ada", ["system-admin"]);
      await addPerson(gateway, "bob");
    });
    afterAll(() => gateway?.stop());

    it("an administrator sees and ends the sessions of others, but not the owner's, and is told of it", async () => {
      const [owner, ada, bob] = [
        await enter(gateway, "paula"),
        await enter(gateway, "ada"),
        await enter(gateway, "bob"),
      ];
      const bobId = ((await bob.socket.call("auth/current_user")).result as { id: string }).id;
      const sessionsOf = (socket: SocketClient, user_id: string) =>
        socket.call("gatehouse/users/sessions", { user_id });
      expect(await sessionsOf(ada.socket, bobId)).toMatchObject({
        result: {
          sessions: [{ id: bob.sessionId, is_current: false, last_used_ip: "127.0.0.1" }],
          cursor: null,
        },
      });
      expect(await sessionsOf(bob.socket, bobId)).toMatchObject({ error: { code: "unauthorized" } });
      expect(await sessionsOf(ada.socket, gateway.owner.id)).toMatchObject({
        error: { code: "unauthorized" },
      });
      expect(await sessionsOf(owner.socket, gateway.owner.id)).toMatchObject({ success: true });
      const end = (socket: SocketClient, session_id: string) =>
        socket.call("gatehouse/revoke", { target: { session_id } });
      expect(await end(ada.socket, owner.sessionId)).toMatchObject({ error: { code: "unauthorized" } });
      const watcher = await enter(gateway, "ada");
      await watcher.socket.call("subscribe_events", { event_type: "sessions_ended" });
      expect(await end(ada.socket, bob.sessionId)).toMatchObject({ result: { sessions: 1 } });
      expect((await within(bob.socket.closed, "the close")).code).toBe(4301);
      const event = await watcher.socket.find(({ type }) => type === "event", "the event");
      expect(event.event).toMatchObject({
        event_type: "sessions_ended",
        data: {
          user_id: bobId,
          session_ids: [bob.sessionId],
          client_id: null,
          except: null,
          cause: "session_revoked",
        },
      });
      for (const { socket } of [owner, ada, watcher]) socket.close();
    });

    it.each(["json", "msgpack"] as const)("the owner hands over and gets it back, in %s", async (codec) => {
      const [owner, ada] = [await enter(gateway, "paula", codec), await enter(gateway, "ada", codec)];
      await ada.socket.call("subscribe_events", { event_type: "owner_changed" });
      expect(codeOf(await transfer(ada.socket, adaId))).toBe("unauthorized");
      expect(codeOf(await transfer(owner.socket, adaId))).toBe("done");
      const event = await ada.socket.find(({ type }) => type === "event", "the event");
      expect(event.event).toMatchObject({ data: { user_id: adaId, previous_user_id: gateway.owner.id } });
      expect(codeOf(await transfer(owner.socket, adaId))).toBe("unauthorized");
      expect(await ada.socket.call("auth/current_user")).toMatchObject({ result: { is_owner: true } });
      expect(codeOf(await transfer(ada.socket, gateway.owner.id))).toBe("done");
      expect(await ownersOf(gateway)).toEqual([gateway.owner.id]);
      for (const { socket } of [owner, ada]) socket.close();
    });

    it("a long-lived token cannot hand over", async () => {
      const request = { clientName: `script ${store}`, clientIcon: null, days: 1 };
      const { sessions } = gateway.authority;
      const { accessToken } = await sessions.openLongLived({ userId: gateway.owner.id, ...request });
      const socket = await openSocket(gateway.port);
      await socket.authenticate(accessToken);
      expect(codeOf(await transfer(socket, adaId))).toBe("recent_login_required");
      socket.close();
    });
  },
);

describe("transfers at two nodes on one Redis", () => {
  let redis: RedisServer;
  const nodes: (Place & { stop(): Promise<void> })[] = [];
  beforeAll(async () => {
    redis = await startRedis();
    for (let count = 0; count < 2; count += 1) nodes.push(await startNode({ store: redis.url }));
  });
  afterAll(async () => {
    for (const node of nodes) await node.stop();
    await redis?.dispose();
  });

  it("in parallel, and from both the old and the new owner, leave exactly one owner", async () => {
    const [here, there] = nodes;
    if (here === undefined || there === undefined) throw new Error("no nodes");
    const { id: paula } = await setUpOwner(here.authority);
    const names = ["ada", "bob", "cleo", "dan"];
    const heirs = await Promise.all(names.map((name) => addPerson(here, name)));
    const sockets = await Promise.all(
      ["paula", ...names].map((name, place) => enter(nodes[place % 2] ?? here, name)),
    );
    const outcomes: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const asked = sockets.map(async ({ socket }) => {
        for (const heir of [paula, ...heirs]) outcomes.push(codeOf(await transfer(socket, heir)));
      });
      await Promise.all(asked);
      expect(await ownersOf(there)).toHaveLength(1);
      expect(await ownersOf(here)).toEqual(await ownersOf(there));
    }
    expect(outcomes.filter((code) => code === "done").length).toBeGreaterThanOrEqual(3);
    for (const code of outcomes) expect(["done", "unauthorized", "not_allowed", "conflict"]).toContain(code);
    for (const { socket } of sockets) socket.close();
  });
});
