import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { eventually } from "../support/eventually.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { type RunningGateway, setUpOwner, startNode } from "../support/gateway.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { type Message, openSocket, type SocketClient } from "../support/socket-client.ts";

type Node = Omit<RunningGateway, "owner" | "ownerPassword">;

const subscribe = "gatehouse/topics/subscribe";
const publish = "gatehouse/topics/publish";
const limits = { messages_per_second: 1_000_000, messages_per_second_per_user: 1_000_000 };

interface Heard {
  readonly data?: unknown;
  readonly gap?: number | null;
  readonly subscription?: string;
  readonly position?: string;
}

function heardBy(client: SocketClient): readonly Heard[] {
  return (client.received.flat() as Message[])
    .filter(({ type }) => type === "event")
    .map(({ event }) => event as Heard);
}

describe("topics on two nodes with one Redis", () => {
  let redis: RedisServer;
  let line: FaultProxy;
  let a: Node;
  /** Its link to Redis goes through `line`. */
  let b: Node;
  let ownerId: string;
  let admin: SocketClient;
  let groups = 0;

  beforeAll(async () => {
    redis = await startRedis();
    line = await startFaultProxy({ host: "127.0.0.1", port: redis.port });
    a = await startNode({ store: redis.url, limits });
    b = await startNode({ store: `redis://127.0.0.1:${line.port}`, transport: "uws", limits });
    ownerId = (await setUpOwner(a.authority)).id;
    admin = await enter(a, ownerId);
  });
  afterAll(async () => {
    await a?.stop();
    await b?.stop();
    await line?.stop();
    await redis?.dispose();
  });

  async function enter(
    node: Node,
    userId: string,
    codec: "json" | "msgpack" = "json",
  ): Promise<SocketClient> {
    const token = { userId, clientName: randomUUID(), clientIcon: null, days: 1 };
    const { accessToken } = await a.authority.sessions.openLongLived(token);
    const client = await openSocket(node.port, { codec });
    expect(await client.authenticate(accessToken)).toMatchObject({ type: "auth_ok" });
    return client;
  }

  /** A group that may read `panel/#`, with one member. */
  async function groupWithMember() {
    groups += 1;
    const policy = { topics: { patterns: { "panel/#": { read: true } } } };
    const created = await admin.call("gatehouse/groups/create", { name: `group ${groups}`, policy });
    expect(created).toMatchObject({ success: true });
    const group = created.result as { group_id: string; version: number };
    const user = await a.authority.users.create({ name: `member ${groups}`, groupIds: [group.group_id] });
    const narrow = () =>
      admin.call("gatehouse/groups/update", {
        group_id: group.group_id,
        version: group.version,
        policy: { topics: { patterns: { "other/#": { read: true } } } },
      });
    return { user, narrow };
  }

  it("carry messages both ways, in order, to sockets of both codecs", async () => {
    const readers = await Promise.all([
      enter(a, ownerId),
      enter(b, ownerId),
      enter(b, ownerId, "msgpack"),
      enter(a, ownerId, "msgpack"),
    ]);
    for (const reader of readers)
      await eventually("the subscription", async () => {
        return (await reader.call(subscribe, { pattern: "both/+" })).success === true;
      });
    const other = await enter(b, ownerId);
    const positions: unknown[] = [];
    for (let n = 0; n < 50; n += 1) {
      const from = n % 2 === 0 ? admin : other;
      const { result } = await from.call(publish, { topic: `both/${n % 3}`, data: n });
      positions.push((result as { position: string }).position);
    }
    for (const reader of readers) {
      await eventually("fifty messages", () => heardBy(reader).length >= 50);
      expect(heardBy(reader).map(({ data }) => data)).toEqual(positions.map((_, n) => n));
      expect(heardBy(reader).map(({ position }) => position)).toEqual(positions);
    }
  });

  it("fire events that reach the other node", async () => {
    const reader = await enter(b, ownerId);
    await reader.call("subscribe_events", { event_type: "doorbell" });
    // The client does not wait for the broker, so the first ones may be fired before the node listens.
    await eventually("an event", async () => {
      await admin.call("fire_event", { event_type: "doorbell", event_data: { n: 1 } });
      return heardBy(reader).length > 0;
    });
    expect(heardBy(reader)[0]).toMatchObject({ event_type: "doorbell", data: { n: 1 } });
  });

  it("are resumed on the other node from the position that the client has", async () => {
    const reader = await enter(a, ownerId);
    await reader.call(subscribe, { pattern: "resume/#" });
    for (let n = 1; n <= 3; n += 1) await admin.call(publish, { topic: "resume/x", data: n });
    await eventually("three messages", () => heardBy(reader).length === 3);
    const position = heardBy(reader).at(-1)?.position;
    reader.terminate();
    for (let n = 4; n <= 9; n += 1) await admin.call(publish, { topic: "resume/x", data: n });
    const back = await enter(b, ownerId);
    expect(await back.call(subscribe, { pattern: "resume/#", position })).toMatchObject({
      result: { resumed: true },
    });
    await admin.call(publish, { topic: "resume/x", data: 10 });
    await eventually("what was missed", () => heardBy(back).length === 7);
    expect(heardBy(back).map(({ data }) => data)).toEqual([4, 5, 6, 7, 8, 9, 10]);
  });

  it("give nobody what was published after the change that took the right, while messages flow", async () => {
    const { user, narrow } = await groupWithMember();
    const sockets = await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        enter(at % 2 === 0 ? a : b, user.id, at % 4 < 2 ? "json" : "msgpack"),
      ),
    );
    for (const socket of sockets)
      expect(await socket.call(subscribe, { pattern: "panel/#" })).toMatchObject({ success: true });
    const publisher = await enter(a, ownerId);
    let flows = true;
    let sent = 0;
    let phase = "before";
    const flow = (async () => {
      while (flows) {
        await publisher.call(publish, { topic: "panel/x", data: { phase, n: sent } });
        sent += 1;
      }
    })();
    await eventually("messages everywhere", () => sockets.every((socket) => heardBy(socket).length > 5));
    expect(await narrow()).toMatchObject({ success: true });
    phase = "after";
    const until = sent + 100;
    await eventually("a hundred messages more", () => sent > until);
    await eventually("the end of every subscription", () =>
      sockets.every((socket) => heardBy(socket).at(-1)?.subscription === "ended"),
    );
    flows = false;
    await flow;
    for (const socket of sockets) {
      const heard = heardBy(socket);
      expect(heard.filter(({ data }) => (data as { phase?: string } | undefined)?.phase === "after")).toEqual(
        [],
      );
      expect(heard.filter(({ gap }) => gap !== undefined)).toEqual([]);
      expect(heard.at(-1)).toMatchObject({ subscription: "ended", reason: "permission_lost" });
      socket.terminate();
    }
  });

  it("stop within the bound at a node that does not hear of changes any more, although messages reach it", async () => {
    const { user, narrow } = await groupWithMember();
    const [there, here] = [await enter(b, user.id), await enter(a, user.id)];
    for (const socket of [there, here]) await socket.call(subscribe, { pattern: "panel/#" });
    const publisher = await enter(a, ownerId);
    const say = (data: string) => publisher.call(publish, { topic: "panel/x", data });
    await say("both");
    await eventually("the message", () => heardBy(there).length === 1);
    // The connections that use the log are a black hole. The one that brings messages is not.
    line.separateSenders("{gh}:log");
    const { lease } = b.authority.revocation;
    // A read that was under way still ends.
    await eventually("the last heartbeat to be old", () => lease.ageMs() > 1_200);
    await say("unchanged");
    await narrow();
    await eventually("the lease to end", async () => {
      await say("forbidden");
      return !b.authority.revocation.view.trusted;
    });
    await say("forbidden");
    expect(heardBy(there).filter(({ data }) => data === "forbidden")).toEqual([]);
    line.pass();
    await eventually("the end of the subscription", () => heardBy(there).at(-1)?.subscription === "ended");
    await eventually("the end of the subscription", () => heardBy(here).at(-1)?.subscription === "ended");
    expect(heardBy(there).filter(({ data }) => data === "forbidden")).toEqual([]);
    expect(heardBy(here).map(({ data }) => data)).toEqual(["both", "unchanged", undefined]);
  });

  it("say that messages are lost if the link to Redis was down for longer than they are kept, and go on", async () => {
    const reader = await enter(b, ownerId);
    await reader.call(subscribe, { pattern: "away/#" });
    await admin.call(publish, { topic: "away/x", data: 0 });
    await eventually("the first message", () => heardBy(reader).length === 1);
    line.refuse();
    await eventually("the node to notice", () => !b.authority.revocation.view.trusted);
    for (let n = 1; n <= 20; n += 1) await admin.call(publish, { topic: "away/x", data: n });
    line.pass();
    await eventually("the node to be trusted", () => b.authority.revocation.view.trusted);
    let n = 21;
    await eventually("a message after that", async () => {
      await admin.call(publish, { topic: "away/x", data: n });
      n += 1;
      return heardBy(reader).some(({ data }) => typeof data === "number" && data > 20);
    });
    // What came while the socket was suspended is a gap; what came after it is there, in order.
    let expected = 0;
    for (const { data, gap } of heardBy(reader)) {
      if (gap !== undefined) expected = Number.NaN;
      else {
        if (!Number.isNaN(expected)) expect(data).toBe(expected);
        expected = Number(data) + 1;
      }
    }
  });
});
