import { RedisTopicBroker } from "../../src/store/redis/redis-topic-broker.ts";
import { createLocalBroker } from "../../src/topics/local-broker.ts";
import { topicBrokerContract } from "../contract/topic-broker.ts";
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
} from "../support/redis-server.ts";

topicBrokerContract({
  name: "in process",
  shared: false,
  create: async () => ({
    node: (history) => createLocalBroker({ history, now: Date.now }),
    cut: async () => undefined,
    cutListeners: async () => undefined,
    lose: async () => undefined,
    dispose: async () => undefined,
  }),
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
        node: (history) => new RedisTopicBroker({ url, history }),
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
