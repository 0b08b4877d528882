import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { Store } from "../../src/auth/store.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { committed, recordName } from "../contract/store.ts";
import {
  type RedisCluster,
  type RedisServer,
  type SentinelGroup,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
} from "../support/redis-server.ts";

const soon = { timeout: 10_000, interval: 50 };

async function durabilityOn(store: Store, durable = true): Promise<string> {
  const { durability } = await committed(store, { bumpEpochs: [recordName()], durable });
  return durability;
}

/** How often a command was run since the server was started. */
async function calls(server: RedisServer, command: string): Promise<number> {
  const stats = await server.command("INFO", "commandstats");
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, "m").exec(stats)?.[1] ?? 0);
}

describe("what keeps a commit: one Redis", () => {
  let server: RedisServer;
  let store: Store;
  beforeEach(async () => {
    server = await startRedis({ appendonly: true, appendfsync: "always" });
    store = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
  });
  afterEach(async () => {
    await store.close();
    await server.dispose();
  });

  it("is the disk with `appendfsync always`, and the memory from the moment at which that is off", async () => {
    // The append-only file of a new server is written once before it counts.
    await expect.poll(() => durabilityOn(store), soon).toBe("fsync");
    await server.command("CONFIG", "SET", "appendfsync", "everysec");
    expect(await durabilityOn(store)).toBe("memory");
    await server.command("CONFIG", "SET", "appendfsync", "always");
    expect(await durabilityOn(store)).toBe("fsync");
    await server.command("CONFIG", "SET", "appendonly", "no");
    expect(await durabilityOn(store)).toBe("memory");
  });

  it("is not queried if the step does not ask for it, and no replica is waited for if there is none", async () => {
    expect(await durabilityOn(store, false)).toBe("memory");
    expect(await calls(server, "config\\|get")).toBe(0);
    await expect.poll(() => durabilityOn(store), soon).toBe("fsync");
    expect(await calls(server, "wait")).toBe(0);
  });

  it("is the memory if the user may not ask", async () => {
    await server.command("ACL", "SETUSER", "gate", "on", ">x", "~*", "&*", "+@all", "-config");
    const url = `redis://gate:x@127.0.0.1:${server.port}`;
    const limited = await openRedisStore({ url, timeoutMs: 2_000 });
    await expect.poll(() => durabilityOn(store), soon).toBe("fsync");
    expect(await durabilityOn(limited)).toBe("memory");
    await limited.close();
  });

  it("does not hide a conflict, and runs a step once if the script is not loaded", async () => {
    const key = recordName();
    await server.command("SCRIPT", "FLUSH");
    const step = { check: [{ key, version: 0 }], put: [{ key, value: {} }], durable: true };
    expect((await store.commit(step)).ok).toBe(true);
    expect(await store.commit(step)).toEqual({ ok: false, conflict: key });
  });
});

describe("what keeps a commit: a primary and its replica", () => {
  let group: SentinelGroup;
  let store: Store;
  beforeAll(async () => {
    // Long enough for a stopped replica, and nothing here stops the primary.
    group = await startRedisSentinels({ downAfter: 60_000 });
  });
  beforeEach(async () => {
    store = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
  });
  afterEach(async () => {
    group.replica.resume();
    await store.close();
  });
  afterAll(() => group?.dispose());

  it("is the replica's memory too once the replica has confirmed", async () => {
    expect(await durabilityOn(store)).toBe("replicated");
    await group.primary.command("SCRIPT", "FLUSH");
    expect(await durabilityOn(store)).toBe("replicated");
  });

  it("is only the primary's while the replica is stopped, and no commit fails or waits long for that", async () => {
    expect(await durabilityOn(store)).toBe("replicated");
    const before = await calls(group.primary, "wait");
    group.replica.pause();
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => durabilityOn(store)));
    expect(new Set(outcomes)).toEqual(new Set(["memory"]));
    expect((await calls(group.primary, "wait")) - before).toBe(1);
    group.replica.resume();
    await expect.poll(() => durabilityOn(store), soon).toBe("replicated");
  });

  it("asks once for many commits that were answered together", async () => {
    expect(await durabilityOn(store)).toBe("replicated");
    const before = await calls(group.primary, "wait");
    const outcomes = await Promise.all(Array.from({ length: 200 }, () => durabilityOn(store)));
    expect(new Set(outcomes)).toEqual(new Set(["replicated"]));
    expect((await calls(group.primary, "wait")) - before).toBeLessThan(150);
  });

  it("is known again after the writing connection was lost", async () => {
    expect(await durabilityOn(store)).toBe("replicated");
    await group.primary.command("CLIENT", "KILL", "TYPE", "normal");
    await expect.poll(() => durabilityOn(store).catch(() => "away"), soon).toBe("replicated");
  });
});

describe("what keeps a commit: a Cluster with replicas", () => {
  let cluster: RedisCluster;
  let store: Store;
  beforeAll(async () => {
    cluster = await startRedisCluster({ replicas: true, nodeTimeout: 30_000 });
    store = await openRedisStore({ url: cluster.url, timeoutMs: 2_000 });
  });
  afterAll(async () => {
    await store?.close();
    await cluster?.dispose();
  });

  it("is the replica's memory too, of the primary that owns the slot", async () => {
    expect(await durabilityOn(store)).toBe("replicated");
    for (const replica of cluster.replicas) replica.pause();
    expect(await durabilityOn(store)).toBe("memory");
    for (const replica of cluster.replicas) replica.resume();
    await expect.poll(() => durabilityOn(store), soon).toBe("replicated");
  });
});
