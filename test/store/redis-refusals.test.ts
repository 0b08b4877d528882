import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { AuthError } from "../../src/auth/errors.ts";
import type { Store } from "../../src/auth/store.ts";
import { redisKeys } from "../../src/store/redis/keys.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { committed, indexName, recordName } from "../contract/store.ts";
import { type RedisServer, startRedis, startRedisCluster } from "../support/redis-server.ts";

const soon = { timeout: 15_000, interval: 20 };

/** The reason in the log's detail if the store is unavailable; `answered` if it is not. */
async function word(exchange: Promise<unknown>): Promise<string> {
  try {
    await exchange;
    return "answered";
  } catch (error) {
    if (!(error instanceof AuthError) || error.code !== "unavailable") throw error;
    return /^redis redis\S*: ([A-Z]+)/.exec(error.message)?.[1] ?? error.message;
  }
}

const writing = (store: Store, durable = false) =>
  word(store.commit({ put: [{ key: recordName(), value: {} }], log: [{}], durable }));
const reading = (store: Store) => word(store.get([recordName()]));

describe("what Redis refuses is `unavailable` with the reason", () => {
  let server: RedisServer;
  let store: Store;
  beforeAll(async () => {
    const config = [
      "enable-debug-command yes",
      "enable-protected-configs yes",
      "replica-serve-stale-data no",
      "busy-reply-threshold 20",
    ];
    server = await startRedis({ config });
    store = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
    expect(await writing(store, true)).toBe("answered");
  });
  afterAll(async () => {
    await store?.close();
    await server?.dispose();
  });

  it("MASTERDOWN on a replica without its primary, for reads and writes", async () => {
    await server.command("REPLICAOF", "127.0.0.1", "1");
    expect(await reading(store)).toBe("MASTERDOWN");
    expect(await writing(store)).toMatch(/^(READONLY|MASTERDOWN)$/);
    await server.command("REPLICAOF", "NO", "ONE");
    await expect.poll(() => writing(store), soon).toBe("answered");
    await expect.poll(() => writing(store, true), soon).toBe("answered");
  });

  it("BUSY while a script runs", async () => {
    const running = server.command("EVAL", "while true do end", "0").catch((error: Error) => error.message);
    await expect.poll(() => reading(store), soon).toBe("BUSY");
    expect(await writing(store)).toBe("BUSY");
    expect(await writing(store, true)).toBe("BUSY");
    await server.command("SCRIPT", "KILL");
    expect(await running).toContain("Script killed");
    await expect.poll(() => writing(store), soon).toBe("answered");
  });

  it("LOADING while it reads its data", async () => {
    await server.command("DEBUG", "POPULATE", "3000");
    await server.command(
      "CONFIG",
      "SET",
      "key-load-delay",
      "500",
      "loading-process-events-interval-bytes",
      "1024",
    );
    const loading = server.command("DEBUG", "RELOAD");
    await expect.poll(() => reading(store), soon).toBe("LOADING");
    expect(await writing(store)).toBe("LOADING");
    expect(await loading).toBe("OK");
    await server.command("CONFIG", "SET", "key-load-delay", "0");
    await expect.poll(() => writing(store), soon).toBe("answered");
  });

  it("MISCONF when it cannot save and therefore refuses writes", async () => {
    await server.command("CONFIG", "SET", "save", "1 1", "dir", "/proc/self");
    await server.command("BGSAVE").catch(() => undefined);
    await expect.poll(() => writing(store), soon).toBe("MISCONF");
    expect(await reading(store)).toBe("answered");
    await server.command("CONFIG", "SET", "save", "");
    await expect.poll(() => writing(store), soon).toBe("answered");
  });

  it("NOPERM when the user lost a right; nothing of the step is written", async () => {
    const all = ["on", ">x", "~*", "&*", "+@all"];
    await server.command("ACL", "SETUSER", "gate", ...all);
    const limited = await openRedisStore({
      url: `redis://gate:x@127.0.0.1:${server.port}`,
      timeoutMs: 2_000,
    });
    const [key, index] = [recordName(), indexName()];
    await committed(limited, { put: [{ key, value: { n: 1 } }], link: [{ index, member: "a" }] });
    const before = await server.command("GET", redisKeys().commits);
    const step = {
      put: [{ key, value: { n: 2 } }],
      remove: [recordName()],
      link: [{ index, member: "b" }],
      unlink: [{ index, member: "a" }],
      log: [{}],
    };
    for (const command of ["set", "del", "zadd", "zrem", "xadd", "xtrim"]) {
      await server.command("ACL", "SETUSER", "gate", `-${command}`);
      expect(await word(limited.commit(step)), command).toBe("NOPERM");
      expect(await word(limited.commit({ ...step, durable: true })), command).toBe("NOPERM");
      await server.command("ACL", "SETUSER", "gate", `+${command}`);
    }
    expect(await server.command("GET", redisKeys().commits)).toBe(before);
    expect(await limited.get([key])).toMatchObject([{ value: { n: 1 } }]);
    expect(await limited.list(index, { limit: 10 })).toEqual(["a"]);
    await server.command("ACL", "SETUSER", "gate", "-mget", "-evalsha");
    expect(await reading(limited)).toBe("NOPERM");
    expect(await writing(limited)).toBe("NOPERM");
    await server.command("ACL", "SETUSER", "gate", "+mget", "+evalsha", "resetkeys", "~other:*");
    expect(await writing(limited)).toBe("NOPERM");
    await limited.close();
  });
});

describe("what a Cluster refuses", () => {
  it("is CLUSTERDOWN if other slots are not served, and works again afterwards", async () => {
    const cluster = await startRedisCluster();
    const store = await openRedisStore({ url: cluster.url, timeoutMs: 2_000 });
    const log = redisKeys().log;
    const slot = await cluster.primaries[0]?.command("CLUSTER", "KEYSLOT", log);
    const ours = await ownerOf(cluster.primaries, Number(slot));
    const [other] = cluster.primaries.filter((server) => server !== ours);
    await other?.kill();
    await expect.poll(() => writing(store), soon).toBe("CLUSTERDOWN");
    await other?.restart();
    await expect.poll(() => writing(store), soon).toBe("answered");
    await store.close();
    await cluster.dispose();
  });
});

async function ownerOf(servers: readonly RedisServer[], slot: number): Promise<RedisServer | undefined> {
  const counts = await Promise.all(
    servers.map(async (server) => {
      const nodes = await server.command("CLUSTER", "NODES");
      const [, first = 1, last = 0] = /myself.* (\d+)-(\d+)$/m.exec(nodes) ?? [];
      return slot >= Number(first) && slot <= Number(last);
    }),
  );
  return servers[counts.indexOf(true)];
}
