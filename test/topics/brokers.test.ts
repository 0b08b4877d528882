import { expect, it } from "vitest";

import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { RedisTopicBroker } from "../../src/store/redis/redis-topic-broker.ts";
import type { Position, TopicBroker } from "../../src/topics/broker.ts";
import { createLocalBroker } from "../../src/topics/local-broker.ts";
import { publicationOf, topicBrokerContract } from "../contract/topic-broker.ts";
import { eventually } from "../support/eventually.ts";
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
} from "../support/redis-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

topicBrokerContract({
  name: "in process",
  shared: false,
  create: async () => {
    const folder = temporaryFolder();
    const store = await openEmbeddedStore({ folder: folder.path, role: "gateway" });
    return {
      node: (history, total) => createLocalBroker({ ...total, history, store, now: Date.now }),
      cut: async () => undefined,
      cutListeners: async () => undefined,
      lose: async () => undefined,
      async dispose() {
        await store.close();
        folder.remove();
      },
    };
  },
});

it("keeps last values in the store, also if the process ends", async () => {
  const folder = temporaryFolder();
  const history = { messages: 10, ms: 60_000, lastValues: 10 };
  const publish = (broker: TopicBroker, topic: string, retainMs: number) =>
    broker.publish([{ ...publicationOf(topic, topic), retainMs }]);
  const open = async () => {
    const store = await openEmbeddedStore({ folder: folder.path, role: "gateway" });
    return { store, broker: createLocalBroker({ history, store, now: Date.now }) };
  };
  const first = await open();
  await Promise.all(["a/1", "a/2", "b/1"].map((topic) => publish(first.broker, topic, 60_000)));
  await publish(first.broker, "a/2", 0);
  await publish(first.broker, "a/3", 1);
  await first.store.close();
  const second = await open();
  const topics = async (pattern: string) =>
    (await second.broker.lastValues(await second.broker.lastTopics(pattern, 10))).map(({ topic, data }) => [
      topic,
      data,
    ]);
  expect(await topics("a/#")).toEqual([["a/1", "a/1"]]);
  expect(await topics("b/+")).toEqual([["b/1", "b/1"]]);
  await second.store.close();
  folder.remove();
});

it("forgets the namespaces that were used least recently, and never one that is followed", async () => {
  const folder = temporaryFolder();
  const store = await openEmbeddedStore({ folder: folder.path, role: "gateway" });
  const history = { messages: 10, ms: 60_000, lastValues: 10 };
  const bytes = 10 * 512;
  const broker = createLocalBroker({ history, store, now: Date.now, namespaces: 2, historyBytes: bytes });
  const start = new Map<string, Position>();
  const publish = async (namespace: string) => {
    const publication = { ...publicationOf(`${namespace}/x`, 1), bytes: 256 };
    const [position] = await broker.publish([publication]);
    if (position === undefined) throw new Error("a position");
    start.set(namespace, { ...position, sequence: 0 });
  };
  const isKept = async (namespace: string) =>
    (await broker.history(namespace, start.get(namespace) ?? { epoch: "", sequence: 0 }, 1)) !== undefined;
  const kept = async () => {
    const known = [...start.keys()];
    const are = await Promise.all(known.map(isKept));
    return known.filter((_, at) => are[at]);
  };
  await broker.follow("followed");
  for (const namespace of ["followed", "a", "b", "a", "c"]) await publish(namespace);
  expect(await kept()).toEqual(["followed", "a", "c"]);
  broker.unfollow("followed");
  expect(await kept()).toEqual(["followed", "c"]);
  // The bytes of all: those of the one that was used least recently go first.
  for (let n = 0; n < 9; n += 1) await publish("followed");
  expect(await kept()).toEqual(["followed"]);
  await store.close();
  folder.remove();
});

async function toAll(servers: readonly RedisServer[], ...commands: readonly (readonly string[])[]) {
  for (const server of servers) for (const command of commands) await server.command(...command);
}

for (const [name, start] of [
  ["redis, one server", async () => single(await startRedis())],
  ["redis, Cluster", startRedisCluster],
  [
    "redis, Sentinel",
    async () => {
      const group = await startRedisSentinels();
      return { ...group, servers: [group.primary] };
    },
  ],
] as const) {
  topicBrokerContract({
    name,
    shared: true,
    create: async () => {
      const { url, servers, dispose } = await start();
      return {
        node: (history, total) => new RedisTopicBroker({ ...total, url, history }),
        cut: () => toAll(servers, ["CLIENT", "KILL", "TYPE", "pubsub"], ["CLIENT", "KILL", "TYPE", "normal"]),
        cutListeners: () => toAll(servers, ["CLIENT", "KILL", "TYPE", "pubsub"]),
        lose: () => toAll(servers, ["FLUSHALL"]),
        dispose,
      };
    },
  });
}

function single(server: RedisServer) {
  return { url: server.url, servers: [server], dispose: server.dispose };
}

it("begins a new epoch if Redis came back with an older copy, also if no node remembers what came after it", async () => {
  const server = await startRedis();
  const history = { messages: 1_000, ms: 60_000, lastValues: 10 };
  const publish = async (broker: TopicBroker, from: number, to: number) => {
    const data = Array.from({ length: to - from + 1 }, (_, at) => publicationOf("a/x", from + at));
    return (await broker.publish(data)).at(-1) ?? { epoch: "", sequence: 0 };
  };
  const before = new RedisTopicBroker({ url: server.url, history });
  await eventually("the broker", async () => {
    await publish(before, 1, 10);
    return true;
  });
  await server.command("SAVE");
  const newest = await publish(before, 11, 20);
  await before.close();
  await server.kill();
  await server.restart();
  const after = new RedisTopicBroker({ url: server.url, history });
  let again = newest;
  await eventually("the broker", async () => {
    again = await publish(after, 21, 50);
    return true;
  });
  expect(again.epoch).not.toBe(newest.epoch);
  expect(await after.history("a", newest, again.sequence)).toBeUndefined();
  expect(await after.history("a", { ...newest, sequence: 5 }, 10)).toBeUndefined();
  expect(await after.follow("a")).toEqual(again);
  await after.close();
  await server.dispose();
});
