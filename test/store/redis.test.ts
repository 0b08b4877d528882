import { randomBytes } from "node:crypto";

import type { Store } from "../../src/auth/store.ts";
import { redisKeys } from "../../src/store/redis/keys.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { storeContract } from "../contract/store.ts";
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
} from "../support/redis-server.ts";

/** The machine is shared with other tests: this does not measure speed. */
const timeoutMs = 2_000;

storeContract({
  name: "redis, one server",
  capabilities: { shared: true, restarts: true },
  durability: "fsync",
  create: async () => {
    const server = await startRedis({ appendonly: true, appendfsync: "always" });
    const prefix = `t${randomBytes(4).toString("hex")}`;
    const open = () => openRedisStore({ url: server.url, timeoutMs, prefix });
    let store = await open();
    return {
      store,
      another: open,
      restart: async () => {
        await store.close();
        await server.restart();
        store = await open();
        return store;
      },
      loseLast: () => loseLast([server], prefix),
      dispose: async () => {
        await store.close();
        await server.dispose();
      },
    };
  },
});

for (const [name, start, durability] of [
  ["redis, Cluster", startRedisCluster, "memory"],
  ["redis, Sentinel", startRedisSentinels, "replicated"],
] as const) {
  storeContract({
    name,
    capabilities: { shared: true, restarts: false },
    durability,
    create: async () => {
      const group = await start();
      const open = () => openRedisStore({ url: group.url, timeoutMs });
      const store: Store = await open();
      return {
        store,
        another: open,
        restart: () => Promise.reject(new Error("not offered")),
        loseLast: () => loseLast(group.servers),
        dispose: async () => {
          await store.close();
          await group.dispose();
        },
      };
    },
  });
}

/** On the server that has the log and accepts writes. */
async function loseLast(servers: readonly RedisServer[], prefix?: string): Promise<void> {
  const { log } = redisKeys(prefix);
  for (const server of servers) {
    const last = await server.command("XREVRANGE", log, "+", "-", "COUNT", "1").catch(() => "");
    const [id = ""] = last.split("\n");
    if (id !== "" && (await server.command("XDEL", log, id).catch(() => "0")) === "1") return;
  }
  throw new Error("no server has lost an entry");
}
