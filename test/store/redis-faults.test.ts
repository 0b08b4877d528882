import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { LogFollower, RecordKey, Store } from "../../src/auth/store.ts";
import { readRecord } from "../../src/auth/store.ts";
import { redisKeys } from "../../src/store/redis/keys.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { Collector, committed, indexName, recordName } from "../contract/store.ts";
import { startProcess } from "../support/child-process.ts";
import { eventually } from "../support/eventually.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { stretched } from "../support/machine-share.ts";
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
} from "../support/redis-server.ts";
import { within } from "../support/within.ts";

const unavailable = { code: "unavailable" };
const mark = () => randomBytes(8).toString("hex");

/** How long the promise took to reject, and with what. */
async function rejection(promise: Promise<unknown>): Promise<{ ms: number; message: string; code: unknown }> {
  const start = performance.now();
  try {
    await promise;
  } catch (error) {
    const { message, code } = error as Error & { readonly code: unknown };
    return { ms: performance.now() - start, message, code };
  }
  throw new Error("it did not reject");
}

async function works(store: Store): Promise<boolean> {
  return await store.commit({ bumpEpochs: [recordName()] }).then(
    () => true,
    () => false,
  );
}

describe("redis store, with faults between it and Redis", () => {
  let server: RedisServer;
  let proxy: FaultProxy;
  let store: Store;
  const followers: LogFollower[] = [];
  const follow = (since = Date.now() - 60_000) => {
    const collector = new Collector();
    const follower = store.follow(since, collector.listener);
    followers.push(follower);
    return { collector, follower };
  };

  beforeAll(async () => {
    server = await startRedis({ appendonly: true, appendfsync: "always" });
    proxy = await startFaultProxy({ host: "127.0.0.1", port: server.port });
  });
  beforeEach(async () => {
    store = await openRedisStore({ url: `redis://127.0.0.1:${proxy.port}` });
  });
  afterEach(async () => {
    proxy.pass();
    server.resume();
    await store.close();
    followers.length = 0;
  });
  afterAll(async () => {
    await proxy?.stop();
    await server?.dispose();
  });

  it.each(["both", "toServer", "toClient"] as const)(
    "answers `unavailable` within the timeout in a black hole (%s), and works again after it",
    async (direction) => {
      proxy.blackHole(direction);
      const results = await Promise.all([
        rejection(store.get([recordName()])),
        rejection(store.list(indexName(), { limit: 1 })),
        rejection(store.commit({ bumpEpochs: [recordName()] })),
      ]);
      for (const { ms, code } of results) {
        expect(code).toBe("unavailable");
        expect(ms).toBeLessThan(stretched(1_000));
      }
      const health = await store.health();
      expect(health.ok).toBe(false);
      proxy.pass();
      await eventually("it to hold", () => works(store));
    },
  );

  it("replaces a connection on which nothing arrives any more", async () => {
    proxy.blackHole("both");
    await rejection(store.get([recordName()]));
    // New connections pass, the old one stays in the black hole, so only a new one can work.
    await eventually("it to hold", () => proxy.connections === 0);
    proxy.pass();
    await eventually("it to hold", () => works(store));
  });

  it("rejects what is in progress at once if the connection is closed, and everything while there is none", async () => {
    const patient = await openRedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeoutMs: 10_000 });
    server.pause();
    const waiting = rejection(patient.commit({ bumpEpochs: [recordName()] }));
    await new Promise((resolve) => setImmediate(resolve));
    proxy.refuse();
    expect((await waiting).ms).toBeLessThan(stretched(2_000));
    const refused = await rejection(patient.commit({ bumpEpochs: [recordName()] }));
    expect(refused.message).toContain("no connection");
    expect(refused.ms).toBeLessThan(stretched(2_000));
    server.resume();
    proxy.pass();
    await eventually("it to hold", () => works(patient));
    await patient.close();
  });

  it("does not resend a commit whose answer was lost", async () => {
    const key = recordName();
    const { version } = await committed(store, { put: [{ key, value: { n: 0 } }] });
    proxy.blackHole("toClient");
    const step = { check: [{ key, version }], put: [{ key, value: { n: 1 } }], log: [{ marker: key }] };
    await expect(store.commit(step)).rejects.toMatchObject(unavailable);
    proxy.reset();
    proxy.pass();
    await eventually("it to hold", () => works(store));
    const { collector, follower } = follow();
    await follower.caughtUp;
    expect(collector.markers().filter((marker) => marker === key)).toHaveLength(1);
    expect((await readRecord(store, key))?.value).toEqual({ n: 1 });
  });

  it("does not exceed its deadline for a slow Redis, and bounds what waits", async () => {
    proxy.delay(400);
    const start = performance.now();
    const outcomes = await Promise.allSettled(Array.from({ length: 6_000 }, () => store.get([recordName()])));
    expect(performance.now() - start).toBeLessThan(stretched(5_000));
    expect(outcomes.every((outcome) => outcome.status === "rejected")).toBe(true);
    const reasons = outcomes.map((outcome) => (outcome.status === "rejected" ? String(outcome.reason) : ""));
    expect(reasons.filter((reason) => reason.includes("too many")).length).toBe(1_000);
  });

  it("a follower on a half-open link stops following within 1.5 s, and misses nothing afterwards", async () => {
    const { collector, follower } = follow();
    await follower.caughtUp;
    expect(follower.following).toBe(true);
    proxy.blackHole("both");
    const held = performance.now();
    await eventually("it to hold", () => !follower.following);
    expect(performance.now() - held).toBeLessThan(stretched(2_500));
    const direct = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
    const markers = [mark(), mark(), mark()];
    for (const marker of markers) await committed(direct, { log: [{ marker }] });
    proxy.pass();
    const [, , last = ""] = markers;
    await collector.untilEvent(last);
    expect(collector.markers().filter((marker) => markers.includes(String(marker)))).toEqual(markers);
    await eventually("it to hold", () => follower.following);
    await direct.close();
  });

  it("a follower continues after a restart of Redis, and so does the store; nothing acknowledged is lost", async () => {
    const { collector, follower } = follow();
    await follower.caughtUp;
    const acked: RecordKey[] = [];
    let running = true;
    const writer = async (): Promise<void> => {
      while (running) {
        const key = recordName();
        await store.commit({ put: [{ key, value: {} }], log: [{ marker: key }] }).then(
          () => acked.push(key),
          () => new Promise((resolve) => setTimeout(resolve, 20)),
        );
      }
    };
    const writers = [writer(), writer(), writer()];
    await eventually("it to hold", () => acked.length > 100);
    await server.kill();
    await eventually("it to hold", () => !follower.following);
    await server.restart();
    const before = acked.length;
    await eventually("it to hold", () => acked.length > before + 100);
    running = false;
    await Promise.all(writers);
    const records = await store.get(acked);
    expect(records.filter((record) => record === undefined)).toEqual([]);
    await collector.untilEvent(acked.at(-1) ?? "");
    const seen = new Set(collector.markers());
    expect(acked.filter((key) => !seen.has(key))).toEqual([]);
  });

  it("a follower starts over if the log was reset", async () => {
    const [old, fresh] = [mark(), mark()];
    const { collector, follower } = follow(0);
    await committed(store, { log: [{ marker: old }] });
    await collector.untilEvent(old);
    const { log } = redisKeys();
    await server.command("DEL", log);
    await server.command("XADD", log, "5000-1", "v", "1", "e", JSON.stringify({ marker: fresh }));
    await collector.untilEvent(fresh);
    await eventually("it to hold", () => follower.following);
    expect(collector.entries.at(-1)).toMatchObject({ position: "5000-1", at: 5000, version: 1 });
    await server.command("DEL", log);
  });

  it("reports how far back the log reaches if it was trimmed", async () => {
    const { log } = redisKeys();
    await server.command("DEL", log);
    for (let n = 0; n < 5; n += 1) await committed(store, { log: [{ n }] });
    const whole = follow(1_000);
    expect(await whole.follower.caughtUp).toEqual({ since: 1_000 });
    await server.command("XTRIM", log, "MAXLEN", "2");
    const { collector, follower } = follow(1_000);
    const { since } = await follower.caughtUp;
    expect(since).toBe((collector.entries[0]?.at ?? 0) + 1);
    expect(collector.entries).toHaveLength(2);
  });
});

describe("redis store, with Redis refusing", () => {
  let server: RedisServer;
  let store: Store;
  beforeAll(async () => {
    server = await startRedis({ config: ["enable-debug-command yes"] });
    store = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
  });
  afterAll(async () => {
    await store?.close();
    await server?.dispose();
  });

  it.each([
    ["READONLY", ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]],
    ["OOM", ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]],
    [
      "NOREPLICAS",
      ["CONFIG", "SET", "min-replicas-to-write", "1"],
      ["CONFIG", "SET", "min-replicas-to-write", "0"],
    ],
  ])("maps %s to `unavailable`, writes nothing, and works again after it", async (word, break_, mend) => {
    const [key, other] = [recordName(), recordName()];
    await committed(store, { put: [{ key, value: { n: 1 } }] });
    const before = await server.command("GET", redisKeys().commits);
    await server.command(...break_);
    const step = { put: [{ key, value: { n: 2 } }], raise: [other], log: [{ n: 2 }] };
    const { message, code } = await rejection(store.commit(step));
    expect(code).toBe("unavailable");
    expect(message).toContain(`redis redis://127.0.0.1:${server.port}: ${word}`);
    expect(await server.command("GET", redisKeys().commits)).toBe(before);
    await server.command(...mend);
    await eventually("it to hold", () => works(store));
    expect(await store.get([key, other])).toMatchObject([{ value: { n: 1 } }, undefined]);
  });

  it("writes revocations and log entries past `maxmemory`, even if everything is new", async () => {
    const [key, epoch] = [recordName(), recordName()];
    await server.command("CONFIG", "SET", "maxmemory", "100kb");
    await server.command("SCRIPT", "FLUSH");
    const late = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
    const put = [{ key, value: { ended: true } }];
    expect(await late.commit({ put, bumpEpochs: [epoch], log: [{ n: 1 }], durable: true })).toMatchObject({
      ok: true,
    });
    expect(await late.commit({ log: [{ n: 2 }] })).toMatchObject({ ok: true });
    expect((await rejection(late.commit({ put, log: [{ n: 3 }] }))).message).toContain("OOM");
    expect(await late.get([key, epoch])).toMatchObject([{ value: { ended: true } }, { value: {} }]);
    await late.close();
    await server.command("CONFIG", "SET", "maxmemory", "0");
  });

  it("loads its script again after SCRIPT FLUSH", async () => {
    await committed(store, { bumpEpochs: [recordName()] });
    await server.command("SCRIPT", "FLUSH");
    await committed(store, { bumpEpochs: [recordName()] });
  });

  it("answers `unavailable` while Redis is stopped, and continues when it resumes", async () => {
    server.pause();
    const { ms, code } = await rejection(store.get([recordName()]));
    expect(code).toBe("unavailable");
    expect(ms).toBeLessThan(stretched(2_500));
    server.resume();
    await eventually("it to hold", () => works(store));
  });

  it("reports in its health that Redis has begun to evict", async () => {
    expect((await store.health()).ok).toBe(true);
    await server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    const health = await store.health();
    expect(health.ok).toBe(false);
    expect(health.detail).toContain("maxmemory-policy is allkeys-lru");
    await server.command("CONFIG", "SET", "maxmemory-policy", "noeviction");
  });
});

describe("openRedisStore", () => {
  it("refuses a Redis that may evict, and says how to repair that", async () => {
    const server = await startRedis({ config: ["maxmemory-policy allkeys-lru"] });
    await expect(openRedisStore({ url: server.url, timeoutMs: 2_000 })).rejects.toThrow(
      /maxmemory-policy is allkeys-lru.*redis-cli CONFIG SET maxmemory-policy noeviction/,
    );
    await server.dispose();
  });

  it("names the address if nobody answers, without the password", async () => {
    const { message, ms } = await rejection(openRedisStore({ url: "redis://user:s3cret@127.0.0.1:1" }));
    expect(message).toMatch(/^cannot use Redis at redis:\/\/\*\*\*@127\.0\.0\.1:1: .*ECONNREFUSED/);
    expect(message).not.toContain("s3cret");
    expect(ms).toBeLessThan(stretched(2_000));
  });

  it("reports a wrong password, and works with the right one, which no error or health report shows", async () => {
    const server = await startRedis({ config: ["user gate on >s3cret ~* &* +@all"] });
    const url = (password: string) => `redis://gate:${password}@127.0.0.1:${server.port}`;
    await expect(openRedisStore({ url: url("wrong") })).rejects.toThrow(/\*\*\*@.*WRONGPASS: refuses user/);
    const store = await openRedisStore({ url: url("s3cret"), timeoutMs: 2_000 });
    expect(await works(store)).toBe(true);
    expect((await store.health()).detail).not.toContain("s3cret");
    await server.kill();
    const { message } = await rejection(store.commit({ put: [{ key: recordName(), value: { s3cret: 1 } }] }));
    expect(message).not.toContain("s3cret");
    expect(JSON.stringify(await store.health())).not.toContain("s3cret");
    await store.close();
    await server.dispose();
  });

  it("waits for a Redis that answers late", async () => {
    const server = await startRedis();
    server.pause();
    const opening = openRedisStore({ url: server.url });
    const soon = await Promise.race([opening, new Promise((resolve) => setTimeout(resolve, 600, "waits"))]);
    expect(soon).toBe("waits");
    server.resume();
    const store = await within(opening, "the store");
    expect(await works(store)).toBe(true);
    await store.close();
    await server.dispose();
  });

  it.each([
    ["a server", startRedis],
    ["a Cluster", startRedisCluster],
    ["Sentinels", startRedisSentinels],
  ])("leaves nothing behind when the store on %s is closed", async (_, start) => {
    const backend = await start();
    await expectCleanEnd(backend.url);
    await backend.dispose();
  });
});

async function expectCleanEnd(url: string): Promise<void> {
  const script = new URL("./redis-closing-process.ts", import.meta.url);
  const child = startProcess({ script, args: [url] });
  await child.line(/^closed$/);
  expect(await within(child.exited, "the process to end", stretched(2_000))).toBe(0);
  expect(child.stderr).toBe("");
}

describe("redis store behind Sentinels", () => {
  it("continues at the new primary after a failover, and so does a follower", async () => {
    const group = await startRedisSentinels();
    const store = await openRedisStore({ url: group.url, timeoutMs: 1_000 });
    const collector = new Collector();
    const follower = store.follow(Date.now() - 60_000, collector.listener);
    await follower.caughtUp;
    const [before, after] = [mark(), mark()];
    await committed(store, { log: [{ marker: before }] });
    await collector.untilEvent(before);
    await group.primary.kill();
    await eventually("it to hold", () => works(store));
    // Each Sentinel learns of it on its own, some after the store did.
    await eventually("it to hold", async () => (await group.primaryPort()) === group.replica.port);
    // The promotion closes connections once more.
    await eventually("it to hold", () => works(store));
    await committed(store, { log: [{ marker: after }] });
    await collector.untilEvent(after);
    await eventually("it to hold", () => follower.following);
    await store.close();
    await group.dispose();
  });
});
