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

/** Fields and values. */
async function hashOf(key: string): Promise<ReadonlyMap<string, number>> {
  const script = "return cjson.encode(redis.call('HGETALL', KEYS[1]))";
  const flat = JSON.parse(await server.command("EVAL", script, "1", key)) as string[];
  return new Map(flat.flatMap((field, at) => (at % 2 === 0 ? [[field, Number(flat[at + 1])] as const] : [])));
}

async function membersOf(key: string): Promise<readonly string[]> {
  const script = "return cjson.encode(redis.call('ZRANGE', KEYS[1], 0, -1))";
  const members: unknown = JSON.parse(await server.command("EVAL", script, "1", key));
  return Array.isArray(members) ? members.map(String).sort() : [];
}

/** The fields are the members, and add up to the sum. */
async function requireExact(ends: string, sizes: string): Promise<void> {
  const bytes = new Map(await hashOf(sizes));
  const sum = bytes.get("");
  bytes.delete("");
  expect([...bytes.keys()].sort()).toEqual(await membersOf(ends));
  expect([...bytes.values()].reduce((all, each) => all + each, 0)).toBe(sum);
}

it("counts last values exactly when they are replaced, removed, over, or too many in their namespace", async () => {
  await open({ history: { ...history, lastValues: 5 } });
  for (let n = 0; n < 12; n += 1) await publish(`many/${n}`, "x".repeat(n * 10), 60_000 + n * 1_000);
  for (let n = 0; n < 10; n += 1) await publish("one/x", "x".repeat(n * 100), 60_000);
  await publish("gone/x", 1, 60_000);
  await publish("gone/x", 1, 0);
  await publish("never/x", 1, 0);
  await publish("short/x", 1, 1);
  await eventually("the end of its key", async () => (await keyOf("last-values:short")) === "");
  await requireExact(shared.values, shared.valueBytes);
  await publish("other/x", 1, 60_000);
  await requireExact(shared.values, shared.valueBytes);
  const kept = ["many/10", "many/11", "many/7", "many/8", "many/9", "one/x", "other/x"];
  expect(await membersOf(shared.values)).toEqual(kept);
  for (const topic of kept) await publish(topic, 1, 0);
  expect(await hashOf(shared.valueBytes)).toEqual(new Map([["", 0]]));
  expect(await keyOf("last-values:*")).toBe("");
});

it("counts messages exactly when streams are cut, expire or are forgotten", async () => {
  const size = async (namespace: string) => (await hashOf(shared.historyBytes)).get(namespace);
  await open({ history: { ...history, messages: 10 }, namespaces: 5 });
  await publish("a/x", 1);
  const one = (await size("a")) ?? 0;
  await publish("a/x", 2);
  const each = ((await size("a")) ?? 0) - one;
  for (let n = 0; n < 500; n += 1) await publish("a/x", n % 10);
  const length = Number(await server.command("XLEN", await keyOf("history:a")));
  expect(length).toBeLessThan(200);
  expect(await size("a")).toBe(one + (length - 1) * each);
  await server.command("DEL", await keyOf("history:a"));
  await publish("a/x", 1);
  expect(await size("a")).toBe(one);
  for (const name of ["b", "c", "d", "e", "f"]) await publish(`${name}/x`, 1);
  await requireExact(shared.histories, shared.historyBytes);
  expect(await membersOf(shared.histories)).toEqual(["b", "c", "d", "e", "f"]);
});

it("removes from the count what has expired", async () => {
  await open({ history: { ...history, ms: 1 } });
  await publish("a/x", 1);
  await eventually("the end of its stream", async () => (await keyOf("history:a")) === "");
  await publish("b/x", 1);
  await requireExact(shared.histories, shared.historyBytes);
  expect(await membersOf(shared.histories)).not.toContain("a");
});

it("needs no more memory than its limits say, whatever names and sizes somebody publishes", async () => {
  const limit = 2 * 1024 * 1024;
  await open({ namespaces: 200, historyBytes: limit, lastValueBytes: limit });
  // Of the keys alone: the memory of the whole server has buffers of connections too, and late ones on a busy machine.
  const sum = `local sum = 0
    for _, key in ipairs(redis.call("KEYS", "*")) do sum = sum + redis.call("MEMORY", "USAGE", key, "SAMPLES", "0") end
    return sum`;
  const used = async () => Number(await server.command("EVAL", sum, "0"));
  const before = await used();
  const fill = async (name: string, count: number, topic: string, data: string) => {
    const topics = Array.from({ length: count }, (_, n) => `${name}${n}`.padEnd(250, "n") + topic);
    for (let at = 0; at < count; at += 100)
      await broker?.publish(
        topics
          .slice(at, at + 100)
          .map((each) => ({ ...publicationOf(each, data), retainMs: 60_000 + at * 100 })),
      );
    // 256 KiB: tables that Redis is making larger. While it makes one larger there are two of it.
    expect((await used()) - before).toBeLessThan(2 * limit + 262_144);
    await requireExact(shared.values, shared.valueBytes);
    await requireExact(shared.histories, shared.historyBytes);
  };
  await fill("small", 3_000, "/x", "1");
  await fill("large", 600, "/x", "x".repeat(16_000));
  await fill("middle", 2_000, "/x", "x".repeat(700));
  expect((await hashOf(shared.valueBytes)).get("")).toBeGreaterThan(limit / 2);
});
