import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { parseRedisUrl } from "../../src/store/redis/address.ts";
import { connectClient, createClient } from "../../src/store/redis/client.ts";
import { CommandLink } from "../../src/store/redis/command-link.ts";
import { Tail } from "../../src/store/redis/tail.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";

const soon = { timeout: 15_000, interval: 20 };

let redis: RedisServer;
let other: RedisServer;
beforeAll(async () => {
  [redis, other] = await Promise.all([startRedis(), startRedis()]);
});
afterAll(() => Promise.all([redis?.dispose(), other?.dispose()]));

async function connected(reconnects: boolean) {
  const address = parseRedisUrl(redis.url);
  const findPrimary = () => Promise.reject(new Error("nobody asks"));
  const client = createClient(address, {
    commandTimeoutMs: 2_000,
    silenceMs: 5_000,
    reconnects,
    findPrimary,
  });
  await connectClient(client, 5_000);
  onTestFinished(() => client.disconnect());
  return client;
}

describe("the tail of the log beside the commands", () => {
  async function follow() {
    const commands = { goElsewhere: false, connections: 1, isAt: () => !commands.goElsewhere };
    const tail = new Tail({
      connect: () => connected(false),
      stream: "log",
      since: 0,
      commands,
      onEntries: () => undefined,
      onBreak: () => undefined,
    });
    onTestFinished(() => tail.stop());
    await tail.caughtUp;
    return { tail, commands };
  }

  it("is not following while commands go to another server than its own", async () => {
    const { tail, commands } = await follow();
    expect(tail.following).toBe(true);
    commands.goElsewhere = true;
    expect(tail.following).toBe(false);
    commands.goElsewhere = false;
    expect(tail.following).toBe(true);
  });

  it("begins another follow generation with every connection, its own and theirs", async () => {
    const { tail, commands } = await follow();
    const stretches = [tail.followGeneration];
    tail.restart();
    expect(tail.following).toBe(false);
    await expect.poll(() => tail.following, soon).toBe(true);
    stretches.push(tail.followGeneration);
    commands.connections += 1;
    stretches.push(tail.followGeneration);
    expect(stretches).toEqual([...new Set(stretches)].sort((a, b) => a - b));
  });
});

describe("the connection for commands", () => {
  const host = "127.0.0.1";

  it("leads to one server, and to none while it is made again", async () => {
    const client = await connected(true);
    const link = new CommandLink(client, true);
    expect([redis, other].map(({ port }) => link.isAt({ host, port }))).toEqual([true, false]);
    expect(link.isAt({ host: "::ffff:127.0.0.1", port: redis.port })).toBe(true);
    expect(link.isAt(undefined)).toBe(false);
    const { connections, madeAt } = link;
    client.disconnect(true);
    await expect.poll(() => link.isAt({ host, port: redis.port }), soon).toBe(false);
    await expect.poll(() => link.isAt({ host, port: redis.port }), soon).toBe(true);
    expect(link.connections).toBe(connections + 1);
    expect(link.madeAt).toBeGreaterThan(madeAt);
  });

  it("is at any server if no Sentinel names one", async () => {
    const link = new CommandLink(await connected(true), false);
    expect(link.isAt({ host, port: other.port })).toBe(true);
  });
});
