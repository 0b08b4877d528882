import { randomBytes } from "node:crypto";

import type { Store } from "../../src/auth/store.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { storeContract } from "../contract/store.ts";
import { startRedis, startRedisCluster, startRedisSentinels } from "../support/redis-server.ts";

/** The machine is shared by other tests: what is measured here is not how fast it is. */
const timeoutMs = 2_000;

storeContract({
  name: "redis, one server",
  capabilities: { shared: true, restarts: true },
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
      dispose: async () => {
        await store.close();
        await server.dispose();
      },
    };
  },
});

for (const [name, start] of [
  ["redis, Cluster", startRedisCluster],
  ["redis, Sentinel", startRedisSentinels],
] as const) {
  storeContract({
    name,
    capabilities: { shared: true, restarts: false },
    create: async () => {
      const group = await start();
      const open = () => openRedisStore({ url: group.url, timeoutMs });
      const store: Store = await open();
      return {
        store,
        another: open,
        restart: () => Promise.reject(new Error("not offered")),
        dispose: async () => {
          await store.close();
          await group.dispose();
        },
      };
    },
  });
}
