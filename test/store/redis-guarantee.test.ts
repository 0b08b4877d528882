import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { StoreGuarantee } from "../../src/auth/store.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import {
  type RedisCluster,
  type SentinelGroup,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
} from "../support/redis-server.ts";

async function guaranteeOf(url: string): Promise<StoreGuarantee> {
  const store = await openRedisStore({ url, timeoutMs: 2_000 });
  try {
    return await store.guarantee();
  } finally {
    await store.close();
  }
}

describe("the guarantee of one Redis", () => {
  it("is that there is no failover, with the disk as a problem until it is configured", async () => {
    const server = await startRedis();
    const { stalePrimaryWindowMs, problems } = await guaranteeOf(server.url);
    expect(stalePrimaryWindowMs).toBe(0);
    expect(problems).toEqual([expect.stringContaining('Set "appendonly yes"')]);
    await server.command("CONFIG", "SET", "appendonly", "yes");
    expect((await guaranteeOf(server.url)).problems).toEqual([
      expect.stringContaining("appendfsync is everysec"),
    ]);
    await server.command("CONFIG", "SET", "appendfsync", "always", "no-appendfsync-on-rewrite", "yes");
    expect((await guaranteeOf(server.url)).problems).toEqual([
      expect.stringContaining("no-appendfsync-on-rewrite is yes"),
    ]);
    await server.command("CONFIG", "SET", "no-appendfsync-on-rewrite", "no");
    expect((await guaranteeOf(server.url)).problems).toEqual([]);
    await server.dispose();
  });

  it("includes the round-trip time", async () => {
    const server = await startRedis();
    const proxy = await startFaultProxy({ host: "127.0.0.1", port: server.port });
    const near = await guaranteeOf(server.url);
    expect(near.roundTripMs).toBeGreaterThan(0);
    proxy.delay(60);
    const { roundTripMs } = await guaranteeOf(`redis://127.0.0.1:${proxy.port}`);
    // A timer may fire up to a millisecond early.
    expect(roundTripMs).toBeGreaterThanOrEqual(59);
    await proxy.stop();
    await server.dispose();
  });

  it("is never asked for if a round trip takes longer than a command may: the error says so", async () => {
    const server = await startRedis();
    const proxy = await startFaultProxy({ host: "127.0.0.1", port: server.port });
    proxy.delay(150);
    const url = `redis://127.0.0.1:${proxy.port}`;
    await expect(openRedisStore({ url, timeoutMs: 100 })).rejects.toThrow(
      "store_timeout_ms gives each command 100 ms",
    );
    await proxy.stop();
    await server.dispose();
  });

  it("reports what could not be read", async () => {
    const server = await startRedis({ appendonly: true, appendfsync: "always" });
    await server.command("ACL", "SETUSER", "gate", "on", ">x", "~*", "&*", "+@all", "-config");
    const { stalePrimaryWindowMs, problems } = await guaranteeOf(`redis://gate:x@127.0.0.1:${server.port}`);
    expect(stalePrimaryWindowMs).toBe(0);
    expect(problems).toEqual([expect.stringContaining("may not run CONFIG GET")]);
    const store = await openRedisStore({ url: server.url });
    await server.kill();
    const gone = await store.guarantee();
    expect(gone.stalePrimaryWindowMs).toBe(Number.POSITIVE_INFINITY);
    expect(gone.problems).toEqual([expect.stringContaining("could not be asked")]);
    await store.close();
    await server.dispose();
  });
});

describe("the guarantee of Sentinels", () => {
  let group: SentinelGroup;
  beforeAll(async () => {
    group = await startRedisSentinels();
  });
  afterAll(() => group?.dispose());

  it("is unbounded without min-replicas-to-write", async () => {
    const { stalePrimaryWindowMs, problems } = await guaranteeOf(group.url);
    expect(stalePrimaryWindowMs).toBe(Number.POSITIVE_INFINITY);
    expect(problems).toContainEqual(expect.stringContaining('Set "min-replicas-to-write 1"'));
  });

  it("follows from the longest time that a primary accepts writes and the earliest promotion", async () => {
    const servers = [group.primary, group.replica];
    for (const server of servers) {
      await server.command("CONFIG", "SET", "min-replicas-to-write", "1", "min-replicas-max-lag", "2");
    }
    const soon = await guaranteeOf(group.url);
    expect(soon.stalePrimaryWindowMs).toBe(4_000);
    expect(soon.problems[0]).toContain("SENTINEL SET main down-after-milliseconds 5000");
    for (const sentinel of group.sentinels) {
      await sentinel.command("SENTINEL", "SET", "main", "down-after-milliseconds", "3500");
    }
    expect((await guaranteeOf(group.url)).stalePrimaryWindowMs).toBe(1_500);
    // One that is quicker than the others suffices to start a failover.
    await group.sentinels[1]?.command("SENTINEL", "SET", "main", "down-after-milliseconds", "3000");
    expect((await guaranteeOf(group.url)).stalePrimaryWindowMs).toBe(2_000);
    for (const sentinel of group.sentinels) {
      await sentinel.command("SENTINEL", "SET", "main", "down-after-milliseconds", "5000");
    }
    const { stalePrimaryWindowMs, problems, detail } = await guaranteeOf(group.url);
    expect(stalePrimaryWindowMs).toBe(0);
    expect(problems).toEqual([
      expect.stringMatching(
        /^1 replica is connected, and min-replicas-to-write is 1: .* Run 2 replicas or more$/,
      ),
      expect.stringContaining('Set "appendonly yes"'),
    ]);
    expect(detail).toContain("min-replicas-max-lag 2");
    const second = await startRedis();
    await second.command("REPLICAOF", "127.0.0.1", String(group.primary.port));
    await expect
      .poll(async () => (await guaranteeOf(group.url)).problems, { timeout: 30_000, interval: 100 })
      .toEqual([expect.stringContaining('Set "appendonly yes"')]);
    await second.dispose();
  });

  it("asks Sentinels that the URL does not name, and is unknown if one of them does not answer", async () => {
    const [first, second] = group.sentinels;
    await second?.command("SENTINEL", "SET", "main", "down-after-milliseconds", "2000");
    const url = `redis+sentinel://127.0.0.1:${first?.port}/main`;
    expect((await guaranteeOf(url)).stalePrimaryWindowMs).toBe(3_000);
    second?.pause();
    const { stalePrimaryWindowMs, problems } = await guaranteeOf(url);
    expect(stalePrimaryWindowMs).toBe(Number.POSITIVE_INFINITY);
    expect(problems).toContainEqual(expect.stringContaining(`127.0.0.1:${second?.port} does not say`));
    second?.resume();
  });
});

describe("the guarantee of a Cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.dispose());

  it("follows from the slowest cluster-node-timeout", async () => {
    expect((await guaranteeOf(cluster.url)).stalePrimaryWindowMs).toBe(700);
    await cluster.primaries[1]?.command("CONFIG", "SET", "cluster-node-timeout", "15000");
    const { stalePrimaryWindowMs, problems } = await guaranteeOf(cluster.url);
    expect(stalePrimaryWindowMs).toBe(7_700);
    expect(problems[0]).toContain('Set "cluster-node-timeout 2000"');
    expect(problems).toContainEqual(expect.stringContaining('Set "appendonly yes"'));
  });

  it("is unknown if the user may not ask", async () => {
    for (const server of cluster.servers) {
      await server.command("ACL", "SETUSER", "gate", "on", ">x", "~*", "&*", "+@all", "-config");
    }
    const url = cluster.url.replace("//", "//gate:x@");
    const { stalePrimaryWindowMs, problems } = await guaranteeOf(url);
    expect(stalePrimaryWindowMs).toBe(Number.POSITIVE_INFINITY);
    expect(problems[0]).toContain("+config|get");
  });
});
