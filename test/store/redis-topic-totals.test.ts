import { afterEach, beforeEach, expect, it } from "vitest";

import { redisKeys } from "../../src/store/redis/keys.ts";
import { RedisTopicBroker, type RedisTopicBrokerOptions } from "../../src/store/redis/redis-topic-broker.ts";
import type { Position } from "../../src/topics/broker.ts";
import { publicationOf } from "../contract/topic-broker.ts";
import { eventually } from "../support/eventually.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";

const shared = redisKeys().sharedTopics(undefined);
const history = { messages: 1_000, ms: 60_000, lastValues: 1_000 };

let server: RedisServer;
let broker: RedisTopicBroker | undefined;
beforeEach(async () => {
  server = await startRedis();
});
afterEach(async () => {
  await broker?.close();
  await server.dispose();
});

/** A broker that is connected; it has published one message in `ready`. */
async function open(options: Partial<RedisTopicBrokerOptions> = {}): Promise<RedisTopicBroker> {
  const opened = new RedisTopicBroker({ url: server.url, history, ...options });
  broker = opened;
  await eventually("the broker", async () => {
    await publish("ready/x", 0);
    return true;
  });
  return opened;
}

async function publish(topic: string, data: number | string, retainMs?: number): Promise<Position> {
  const positions = await broker?.publish([{ ...publicationOf(topic, data), retainMs }]);
  return positions?.[0] ?? { epoch: "", sequence: 0 };
}

async function lookAt(namespace: string): Promise<Position | undefined> {
  const position = await broker?.follow(namespace);
  broker?.unfollow(namespace);
  return position;
}

/** The one that ends so; its shard is not known here. */
async function keyOf(end: string): Promise<string> {
  return (await server.command("KEYS", `*:${end}`)).trim();
}

it("writes nothing for a namespace in which nothing was published", async () => {
  await open();
  await lookAt("first");
  const before = Number(await server.command("DBSIZE"));
  for (let n = 0; n < 300; n += 1) await lookAt(`${n}-`.padEnd(250, "x"));
  await broker?.lastTopics("nothing/#", 10);
  await broker?.lastValues(["nothing/x"]);
  await broker?.history("nothing", { epoch: "0123456789ab", sequence: 0 }, 5);
  expect(Number(await server.command("DBSIZE"))).toBe(before);
  expect(Number(await server.command("ZCARD", shared.positions))).toBe(1);
});

it("begins another epoch in a namespace whose position has expired, and remembers it no longer", async () => {
  await open();
  const first = await publish("a/x", 1);
  // As if it had not been used for an hour.
  await server.command("DEL", await keyOf("position:a"));
  await server.command("ZADD", shared.positions, "1", "a");
  const empty = await lookAt("a");
  expect(empty).toMatchObject({ sequence: 0 });
  expect(empty?.epoch).not.toBe(first.epoch);
  expect(await server.command("ZCOUNT", shared.positions, "-inf", "1")).toBe("0");
  const again = await publish("a/x", 2);
  expect(again).toEqual({ epoch: empty?.epoch, sequence: 1 });
  expect(await broker?.history("a", first, 1)).not.toMatchObject([{ data: 2 }]);
});

it("begins another epoch in a namespace whose key was lost, which a node notices that knows more", async () => {
  await open();
  await broker?.follow("a");
  const newest = [await publish("a/x", 1), await publish("a/x", 2)].at(-1);
  const heard = { gaps: 0 };
  await broker?.close();
  broker = new RedisTopicBroker({ url: server.url, history });
  broker.start({ onMessage: () => undefined, onGap: () => (heard.gaps += 1) });
  await eventually("the broker", async () => (await broker?.follow("a"))?.sequence === 2);
  await server.command("DEL", await keyOf("position:a"));
  await server.command("CLIENT", "KILL", "TYPE", "pubsub");
  await eventually("the gap", () => heard.gaps > 0);
  const next = await publish("a/x", 3);
  expect(next.sequence).toBe(1);
  expect(next.epoch).not.toBe(newest?.epoch);
});

it("remembers a bounded number of namespaces, and forgets first what was used least recently", async () => {
  await open({ namespaces: 3 });
  const first = await publish("a/x", 1);
  await publish("b/x", 1);
  await eventually("a later millisecond", async () => {
    await publish("a/x", 2);
    const [a, b] = await Promise.all(["a", "b"].map((of) => server.command("ZSCORE", shared.positions, of)));
    return Number(a) > Number(b);
  });
  await publish("c/x", 1);
  await publish("d/x", 1);
  expect(await lookAt("a")).toMatchObject({ epoch: first.epoch });
  expect(await keyOf("position:b")).toBe("");
  expect(await keyOf("history:b")).toBe("");
  expect(Number(await server.command("ZCARD", shared.positions))).toBe(3);
});
