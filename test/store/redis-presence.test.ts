import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { liveConnectionOf, NodePresence } from "../../src/presence/presence.ts";
import { RedisPresenceDirectory } from "../../src/store/redis/presence-directory.ts";
import { RedisEventBus } from "../../src/store/redis/redis-event-bus.ts";
import { listAll, memberOf, PresenceEar, presenceContract } from "../contract/presence-directory.ts";
import { eventually } from "../support/eventually.ts";
import {
  type RedisCluster,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from "../support/redis-server.ts";

const [a, b] = ["a".repeat(32), "b".repeat(32)];

let redis: RedisServer;
let cluster: RedisCluster | undefined;
let installations = 0;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis?.dispose();
  await cluster?.dispose();
});

/** Nodes of one installation. The lease is short where a test waits for its end. */
function nodesOn(url: string, leaseMs?: number) {
  installations += 1;
  const prefix = `installation-${installations}`;
  const faults: unknown[] = [];
  const opened: { close(): Promise<void> }[] = [];
  return {
    prefix,
    faults,
    node(id: string) {
      const events = new RedisEventBus({ url, prefix });
      const onFault = (error: unknown) => faults.push(error);
      const lease = leaseMs === undefined ? {} : { leaseMs };
      const directory = new RedisPresenceDirectory({ url, prefix, node: id, events, onFault, ...lease });
      opened.push(directory, events);
      return directory;
    },
    async close() {
      for (const each of opened) await each.close();
    },
  };
}

presenceContract("Redis", async () => {
  const nodes = nodesOn(redis.url);
  return { node: (id) => nodes.node(id), dispose: () => nodes.close() };
});

presenceContract("Redis Cluster", async () => {
  cluster ??= await startRedisCluster();
  const nodes = nodesOn(cluster.url);
  return { node: (id) => nodes.node(id), dispose: () => nodes.close() };
});

describe("the list of several nodes", () => {
  const joining = (node: string, ...numbers: readonly number[]) => ({
    joined: numbers.map((number) => liveConnectionOf(memberOf(number), node)),
    left: [],
    renewed: [],
  });

  it("shows every node's connections to every node", async () => {
    const nodes = nodesOn(redis.url);
    const [first, second] = [nodes.node(a), nodes.node(b)];
    await first.write(joining(a, 1, 2));
    await second.write(joining(b, 1));
    expect((await listAll(first, {}, 2)).map(({ node }) => node)).toEqual([a, a, b]);
    expect(await listAll(second, { node: a })).toHaveLength(2);
    await first.close();
    expect((await listAll(second)).map(({ node }) => node)).toEqual([b]);
    await nodes.close();
  });

  it("loses a node that died with its lease, and another node tells of it and removes it", async () => {
    const nodes = nodesOn(redis.url, 3_000);
    const [dead, alive] = [nodes.node(a), nodes.node(b)];
    const members = new Set([memberOf(1)]);
    const presence = new NodePresence({ directory: alive, node: b, members: () => members });
    for (const member of members) presence.entered(member);
    presence.start();
    const ear = new PresenceEar(alive);
    await ear.until(() => ear.gaps > 0, "the watch has begun");
    await dead.write(joining(a, 1, 2));
    const ofDead = () => [...ear.present.values()].filter(({ node }) => node === a).length;
    await ear.until(() => ofDead() === 2, "two joined");
    expect(await listAll(alive)).toHaveLength(3);
    await ear.until(() => ofDead() === 0, "two left");
    expect((await listAll(alive)).map(({ node }) => node)).toEqual([b]);
    ear.end();
    const client = new Redis(redis.url);
    await eventually("nothing of it is left", async () => {
      const entries = await client.zcard(`${nodes.prefix}:{gh}:presence:all`);
      return entries === 1 && (await client.zcard(`${nodes.prefix}:{gh}:presence:over`)) === 0;
    });
    client.disconnect();
    await presence.stop();
    await nodes.close();
  });

  it("begins anew after its lease was over, and shows each connection once", async () => {
    const nodes = nodesOn(redis.url, 1_000);
    const [directory, other] = [nodes.node(a), nodes.node(b)];
    const members = new Set([memberOf(1), memberOf(2)]);
    const presence = new NodePresence({ directory, node: a, members: () => members });
    for (const member of members) presence.entered(member);
    presence.start();
    await eventually("both are listed", async () => (await listAll(other)).length === 2);
    const client = new Redis(redis.url);
    const parts = `${nodes.prefix}:{gh}:presence:parts`;
    const [part = ""] = await client.zrange(parts, "0", "-1");
    await client.zadd(parts, 1, part);
    expect(await listAll(other)).toEqual([]);
    await eventually("both are listed again", async () => {
      await other.write({ joined: [], left: [], renewed: [] });
      return (await listAll(other)).length === 2;
    });
    expect((await listAll(other)).map(({ since }) => since - 1_700_000_000_000)).toEqual([1, 2]);
    await eventually("the old entries are gone", async () => {
      await other.write({ joined: [], left: [], renewed: [] });
      return (await client.zcard(`${nodes.prefix}:{gh}:presence:all`)) === 2;
    });
    client.disconnect();
    await presence.stop();
    await nodes.close();
  });

  it("comes back after the store forgot everything", async () => {
    const nodes = nodesOn(redis.url);
    const directory = nodes.node(a);
    const members = new Set([memberOf(1), memberOf(2)]);
    const presence = new NodePresence({ directory, node: a, members: () => members });
    for (const member of members) presence.entered(member);
    presence.start();
    await eventually("both are listed", async () => (await listAll(directory)).length === 2);
    const client = new Redis(redis.url);
    await client.flushall();
    client.disconnect();
    const late = memberOf(3);
    members.add(late);
    presence.entered(late);
    await eventually("all are listed", async () => (await listAll(directory)).length === 3);
    await presence.stop();
    await nodes.close();
  });

  it("answers unavailable while Redis is away, says so once, and goes on", async () => {
    const own = await startRedis();
    const nodes = nodesOn(own.url);
    const directory = nodes.node(a);
    await directory.write(joining(a, 1));
    await own.dispose();
    expect(await directory.write(joining(a, 2))).toBe("lost");
    expect(await directory.write(joining(a, 1, 2))).toBe("lost");
    await expect(listAll(directory)).rejects.toMatchObject({ code: "unavailable" });
    expect(nodes.faults).toHaveLength(1);
    await nodes.close();
  });

  it("ignores entries and messages that are none", async () => {
    const nodes = nodesOn(redis.url);
    const directory = nodes.node(a);
    await directory.write(joining(a, 1));
    const client = new Redis(redis.url);
    const key = `${nodes.prefix}:{gh}:presence:all`;
    for (const member of ["", "x", `${a}-1 p`, `${a}-1 p {`, `${a}-1 p {"i":1}`, `${a}-1 p null`])
      await client.zadd(key, 0, member);
    client.disconnect();
    expect(await listAll(directory)).toHaveLength(1);
    await nodes.close();
  });
});
