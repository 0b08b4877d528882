import { expect, it } from "vitest";

import { createLocalEventBus } from "../../src/auth/event-bus.ts";
import { openEventBus } from "../../src/store/open-event-bus.ts";
import { redisKeys } from "../../src/store/redis/keys.ts";
import { RedisEventBus } from "../../src/store/redis/redis-event-bus.ts";
import { type BusTold, Ear, eventBusContract } from "../contract/event-bus.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisSentinels,
} from "../support/redis-server.ts";
import { within } from "../support/within.ts";

eventBusContract({
  name: "in process",
  shared: false,
  create: async () => ({
    node: (told) => createLocalEventBus(told?.onFault),
    cut: async () => undefined,
    dispose: async () => undefined,
  }),
});

async function cutAll(servers: readonly RedisServer[]): Promise<void> {
  for (const server of servers) {
    for (const type of ["pubsub", "normal"]) await server.command("CLIENT", "KILL", "TYPE", type);
  }
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
  eventBusContract({
    name,
    shared: true,
    create: async () => {
      const { url, servers, dispose } = await start();
      return {
        node: (told: BusTold = {}) => new RedisEventBus({ url, ...told }),
        cut: () => cutAll(servers),
        dispose,
      };
    },
  });
}

function single(server: RedisServer) {
  return { url: server.url, servers: [server], dispose: server.dispose };
}

it("detects its own silence: a connection that is open and delivers nothing is replaced", async () => {
  const redis = await startRedis();
  const line = await startFaultProxy({ host: "127.0.0.1", port: redis.port });
  const away = new Ear();
  let downs = 0;
  const node = await openEventBus({
    url: `redis://127.0.0.1:${line.port}`,
    onReceiving: (hears) => {
      if (!hears) downs += 1;
    },
  });
  const other = new RedisEventBus({ url: redis.url });
  try {
    node.subscribe("a", away);
    await away.until(() => away.gaps >= 1, "the first connection");
    // Nothing of the channel arrives; everything else on the connection works.
    line.remove("toClient", (chunk) => (chunk.includes("smessage") ? Buffer.alloc(0) : chunk));
    other.publish("a", { n: 1 });
    await away.until(() => away.gaps >= 2, "the gap");
    line.pass();
    await away.until(() => away.gaps >= 2 && downs > 0, "the loss to be told");
    for (let n = 2; away.heard.length === 0; n += 1) {
      other.publish("a", { n });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(away.heard[0]).not.toEqual({ n: 1 });
  } finally {
    await node.close();
    await other.close();
    await line.stop();
    await redis.dispose();
  }
});

it("ignores messages that it did not write, and sends its pending messages when it is closed", async () => {
  const redis = await startRedis();
  const faults: unknown[] = [];
  const node = new RedisEventBus({ url: redis.url, onFault: (error) => faults.push(error) });
  const brief = new RedisEventBus({ url: redis.url });
  const ear = new Ear();
  try {
    node.subscribe("a", ear);
    await ear.until(() => ear.gaps >= 1, "the connection");
    for (const text of ["", "x", "x {", "x null", 'x ["a"]', 'x ["a",1]', 'x ["a",[]]', "x [1,{}]"])
      await redis.command("SPUBLISH", redisKeys().events, text);
    brief.publish("a", { n: 1 });
    await within(brief.close(), "the close");
    await ear.until(() => ear.heard.length === 1, "the message");
    expect({ heard: ear.heard, faults }).toEqual({ heard: [{ n: 1 }], faults: [] });
  } finally {
    await node.close();
    await redis.dispose();
  }
});

it("loses a message while Redis is away, reports it once for the loss, and throws nothing", async () => {
  const redis = await startRedis();
  const faults: string[] = [];
  const hearing: boolean[] = [];
  const node = new RedisEventBus({
    url: redis.url,
    onFault: (error) => faults.push(String(error)),
    onReceiving: (hears) => hearing.push(hears),
  });
  const ear = new Ear();
  try {
    node.subscribe("a", ear);
    await ear.until(() => ear.gaps >= 1, "the connection");
    await redis.stop();
    node.publish("a", { n: 1 });
    // The own node needs no Redis.
    await ear.until(() => ear.heard.length === 1, "the message on its own node");
    await expect.poll(() => faults.length, { timeout: 10_000 }).toBe(1);
    await redis.restart();
    await ear.until(() => ear.gaps >= 2, "the gap");
    expect(hearing.slice(0, 3)).toEqual([true, false, true]);
  } finally {
    await node.close();
    await redis.dispose();
  }
});
