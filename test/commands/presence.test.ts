import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { ConnectionInfo, PresenceEvent } from "../../protocol/commands/presence.ts";
import type { SessionGrant } from "../../protocol/flow.ts";
import { eventually } from "../support/eventually.ts";
import {
  ownerPassword,
  type RunningGateway,
  setUpOwner,
  startNode,
  storeKinds,
  transportNames,
} from "../support/gateway.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";

type Node = Omit<RunningGateway, "owner" | "ownerPassword">;

describe.each(storeKinds.flatMap((store) => transportNames.map((transport) => ({ store, transport }))))(
  "presence at a gateway on $transport with $store",
  ({ store, transport }) => {
    let redis: RedisServer | undefined;
    let node: Node;
    /** Another node on Redis; the same one otherwise. */
    let other: Node;
    let ownerId: string;
    const userIds: Record<string, string> = {};

    beforeAll(async () => {
      redis = store === "redis" ? await startRedis() : undefined;
      const config = { transport, ...(redis === undefined ? {} : { store: redis.url }) };
      node = await startNode(config);
      other = redis === undefined ? node : await startNode(config);
      ownerId = (await setUpOwner(node.authority)).id;
      for (const [username, groupId] of [
        ["adam", "system-admin"],
        ["berta", "system-users"],
      ] as const) {
        const user = await node.authority.localLogins.createUser({
          name: username,
          username,
          password: ownerPassword,
          groupIds: [groupId],
        });
        userIds[username] = user.id;
      }
    });
    afterAll(async () => {
      await node?.stop();
      if (other !== node) await other?.stop();
      await redis?.dispose();
    });

    async function enter(username: string, at = node, codec: "json" | "msgpack" = "json") {
      const socket = await openSocket(at.port, { codec });
      const started = await socket.call("auth/login/start", { handler: ["homeassistant", null] });
      const { flow_id } = started.result as { flow_id: string };
      const user_input = { username, password: ownerPassword };
      const answer = await socket.call("auth/login/step", { flow_id, user_input });
      await socket.find((message) => message.type === "auth_ok", "auth_ok");
      return { socket, grant: (answer.result as { result: SessionGrant }).result };
    }
    async function list(socket: SocketClient, query: object = {}) {
      const all: ConnectionInfo[] = [];
      let cursor: string | null = null;
      do {
        const answer = await socket.call("gatehouse/presence/list", {
          limit: 2,
          ...query,
          ...(cursor === null ? {} : { cursor }),
        });
        if (answer.success !== true) return answer;
        const page = answer.result as { connections: ConnectionInfo[]; cursor: string | null };
        all.push(...page.connections);
        cursor = page.cursor;
      } while (cursor !== null);
      return all;
    }
    const userOf = (connections: unknown) =>
      (connections as readonly ConnectionInfo[]).map(({ user_id }) => user_id).sort();

    it("shows everybody what they may see, and nothing else", async () => {
      const [owner, adam, berta] = [await enter("paula"), await enter("adam", other), await enter("berta")];
      const second = await enter("berta", other, "msgpack");
      const sockets = [owner, adam, berta, second];
      const [bertaId, adamId] = [userIds.berta, userIds.adam];
      await eventually("the list has all", async () => userOf(await list(owner.socket)).length === 4);

      expect(userOf(await list(owner.socket))).toEqual([ownerId, adamId, bertaId, bertaId].sort());
      expect(userOf(await list(adam.socket))).toEqual([adamId, bertaId, bertaId].sort());
      expect(userOf(await list(berta.socket))).toEqual([bertaId, bertaId]);
      expect(userOf(await list(berta.socket, { user_id: bertaId }))).toEqual([bertaId, bertaId]);
      for (const user_id of [adamId, ownerId, "nobody"])
        expect(await list(berta.socket, { user_id })).toMatchObject({ error: { code: "unauthorized" } });
      expect(await list(adam.socket, { user_id: ownerId })).toMatchObject({
        error: { code: "unauthorized" },
      });
      expect(userOf(await list(berta.socket, { session_id: adam.grant.session_id }))).toEqual([]);

      const own = (await list(second.socket)) as readonly ConnectionInfo[];
      const [current] = own.filter(({ is_current }) => is_current);
      expect(own.filter(({ is_current }) => is_current)).toHaveLength(1);
      expect(current).toMatchObject({ address: "127.0.0.1", user_id: bertaId });
      const { session_id = "", node: servedBy = "" } = current ?? {};
      expect(await list(adam.socket, { session_id })).toHaveLength(1);
      const there = (await list(owner.socket, { node: servedBy })) as readonly ConnectionInfo[];
      expect(there.map((each) => each.node)).toEqual(there.map(() => servedBy));
      for (const { socket } of sockets) socket.close();
    });

    it("reports who comes and goes, to whoever may see it, after saying from when on", async () => {
      const [owner, adam, berta] = [await enter("paula"), await enter("adam", other), await enter("berta")];
      const watchers = [
        { socket: owner.socket, fields: {} },
        { socket: adam.socket, fields: {} },
        { socket: berta.socket, fields: {} },
      ];
      for (const { socket, fields } of watchers) {
        expect(await socket.call("gatehouse/presence/subscribe", fields)).toMatchObject({ success: true });
        await socket.find((message) => "resync" in eventOf(message), "the watch has begun");
      }
      const late = await enter("berta", other);
      const [first] = (await list(late.socket)) as readonly ConnectionInfo[];
      expect(first).toBeDefined();
      const isOf = (change: "joined" | "left", user: string | undefined) => (message: Message) => {
        const event = eventOf(message);
        return event[change]?.some(({ user_id }) => user_id === user) === true;
      };
      for (const { socket } of watchers) await socket.find(isOf("joined", userIds.berta), "berta joined");
      late.socket.close();
      for (const { socket } of watchers) await socket.find(isOf("left", userIds.berta), "berta left");

      const ownersSecond = await enter("paula", other);
      await owner.socket.find(isOf("joined", ownerId), "the owner joined");
      ownersSecond.socket.close();
      await owner.socket.find(isOf("left", ownerId), "the owner left");
      const another = await enter("adam", other);
      await adam.socket.find(isOf("joined", userIds.adam), "adam joined");
      another.socket.close();
      // What is not for them was told before this.
      const seenByAdam = adam.socket.received.flat().map((message) => JSON.stringify(message));
      expect(seenByAdam.some((text) => text.includes(ownerId))).toBe(false);
      const seenByBerta = berta.socket.received.flat().map((message) => JSON.stringify(message));
      expect(seenByBerta.some((text) => text.includes(String(userIds.adam)))).toBe(false);
      for (const { socket } of watchers) socket.close();
    });

    it("reports that a connection is over if it was in the list, however short it was", async () => {
      const owner = await enter("paula");
      await owner.socket.call("gatehouse/presence/subscribe", {});
      await owner.socket.find((message) => "resync" in eventOf(message), "the watch has begun");
      for (let times = 0; times < 3; times += 1) {
        const { socket, grant } = await enter("berta", other);
        const listed = async () =>
          (await list(owner.socket, { session_id: grant.session_id })) as readonly ConnectionInfo[];
        await eventually("it is in the list", async () => (await listed()).length === 1);
        const [connection] = await listed();
        socket.close();
        await owner.socket.find(
          (message) =>
            eventOf(message).left?.some((each) => each.connection_id === connection?.connection_id) === true,
          "it is over",
        );
      }
      owner.socket.close();
    });

    it("stops reporting others when the right is lost", async () => {
      const [owner, adam] = [await enter("paula"), await enter("adam")];
      await adam.socket.call("gatehouse/presence/subscribe", {});
      await adam.socket.find((message) => "resync" in eventOf(message), "the watch has begun");
      const change = { user_id: userIds.adam, group_ids: ["system-users"] };
      expect(await owner.socket.call("config/auth/update", change)).toMatchObject({ success: true });
      const before = adam.socket.received.length;
      const berta = await enter("berta", other);
      const second = await enter("adam", other);
      await adam.socket.find(
        (message) =>
          JSON.stringify(message).includes("joined") &&
          JSON.stringify(message).includes(String(userIds.adam)),
        "adam's own",
      );
      const told = adam.socket.received.slice(before).map((message) => JSON.stringify(message));
      expect(told.some((text) => text.includes(String(userIds.berta)))).toBe(false);
      await owner.socket.call("config/auth/update", { ...change, group_ids: ["system-admin"] });
      for (const { socket } of [owner, adam, berta, second]) socket.close();
    });
  },
);

interface Told {
  readonly joined?: readonly ConnectionInfo[];
  readonly left?: readonly ConnectionInfo[];
  readonly resync?: true;
}

function eventOf({ event }: Message): Told {
  return (typeof event === "object" && event !== null ? event : {}) satisfies PresenceEvent | object;
}
