import { setTimeout } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { readRecord, type Store } from "../../src/auth/store.ts";
import { parseRedisUrl } from "../../src/store/redis/address.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { SentinelLink } from "../../src/store/redis/sentinels.ts";
import { Collector, committed, recordName } from "../contract/store.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import {
  type RedisServer,
  type SentinelGroup,
  startRedis,
  startRedisSentinels,
} from "../support/redis-server.ts";

const soon = { timeout: 60_000, interval: 100 };
const nothing = Buffer.alloc(0);

/** What is left of replies, for each kind of damage. */
const damages: readonly (readonly [string, (chunk: Buffer) => Buffer])[] = [
  ["each third one", everyThird()],
  ["the first byte of each", (chunk) => chunk.subarray(1)],
  ["the end of each", (chunk) => chunk.subarray(0, Math.ceil(chunk.length / 2))],
];

function everyThird(): (chunk: Buffer) => Buffer {
  let count = 0;
  return (chunk) => {
    count += 1;
    return count % 3 === 0 ? nothing : chunk;
  };
}

/** One commit of either kind and a read of what it wrote: each got its own reply. */
async function works(store: Store): Promise<boolean> {
  const [key, other] = [recordName(), recordName()];
  try {
    const { version } = await committed(store, { put: [{ key, value: { key } }] });
    const durable = await committed(store, { put: [{ key: other, value: { key: other } }], durable: true });
    const [first, second] = [await readRecord(store, key), await readRecord(store, other)];
    return first?.value.key === key && first.version === version && second?.version === durable.version;
  } catch {
    return false;
  }
}

/** Enough successes in a row that no second connection is still mismatched. */
async function worksAgain(store: Store): Promise<void> {
  let inARow = 0;
  await expect
    .poll(async () => {
      inARow = (await works(store)) ? inARow + 1 : 0;
      return inARow >= 10;
    }, soon)
    .toBe(true);
}

describe("redis store whose replies lose bytes on the way", () => {
  let server: RedisServer;
  let proxy: FaultProxy;
  let store: Store;
  beforeAll(async () => {
    server = await startRedis();
    proxy = await startFaultProxy({ host: "127.0.0.1", port: server.port });
  });
  beforeEach(async () => {
    store = await openRedisStore({ url: `redis://127.0.0.1:${proxy.port}` });
  });
  afterEach(async () => {
    proxy.pass();
    await store.close();
  });
  afterAll(async () => {
    await proxy?.stop();
    await server?.dispose();
  });

  it.each(damages)(
    "works again once they are whole (%s was lost), and its follower with it",
    async (_, left) => {
      const collector = new Collector();
      const follower = store.follow(Date.now(), collector.listener);
      await follower.caughtUp;
      await worksAgain(store);
      proxy.remove("toClient", left);
      const until = performance.now() + 1_000;
      while (performance.now() < until) {
        await Promise.all([works(store), works(store), setTimeout(20)]);
      }
      proxy.pass();
      await worksAgain(store);
      await expect.poll(() => follower.following, soon).toBe(true);
      const marker = recordName();
      await committed(store, { log: [{ marker }] });
      await collector.untilEvent(marker);
    },
  );

  it("replaces a connection on which one whole reply was lost, though every later command gets some reply", async () => {
    let toLose = 1;
    proxy.remove("toClient", (chunk) => (toLose-- > 0 ? nothing : chunk));
    // Sent without a pause, so none of them exceeds its deadline: each gets the reply of the previous one.
    const reads = Array.from({ length: 200 }, () => store.get([recordName()]));
    await Promise.allSettled(reads);
    await worksAgain(store);
  });
});

describe("a Sentinel whose replies lose bytes on the way", () => {
  let group: SentinelGroup;
  beforeAll(async () => {
    group = await startRedisSentinels({ downAfter: 60_000 });
  });
  afterAll(() => group?.dispose());

  it.each(damages)("is understood again once they are whole (%s was lost)", async (_, left) => {
    const host = "127.0.0.1";
    const proxy = await startFaultProxy({ host, port: group.sentinels[0]?.port ?? 0 });
    const link = new SentinelLink(parseRedisUrl(`redis+sentinel://${host}:${proxy.port}/main`), {
      host,
      port: proxy.port,
    });
    const answers = async () => {
      const from = performance.now();
      await link.ask();
      return (link.report?.askedAt ?? 0) >= from && link.report?.named.port === group.primary.port;
    };
    await expect.poll(answers, soon).toBe(true);
    proxy.remove("toClient", left);
    for (let n = 0; n < 8; n += 1) await Promise.all([answers(), setTimeout(100)]);
    proxy.pass();
    await expect.poll(answers, soon).toBe(true);
    link.close();
    await proxy.stop();
  });
});
