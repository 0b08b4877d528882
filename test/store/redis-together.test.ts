import { expect, it } from "vitest";

import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { recordName } from "../contract/store.ts";
import { startRedis } from "../support/redis-server.ts";

it("sends the commands of one turn in one write", async () => {
  const redis = await startRedis();
  const store = await openRedisStore({ url: redis.url, timeoutMs: 5_000 });
  try {
    const reads = async () =>
      Number(/total_reads_processed:(\d+)/.exec(await redis.command("INFO", "stats"))?.[1]);
    const before = await reads();
    await Promise.all(Array.from({ length: 200 }, () => store.get([recordName()])));
    expect((await reads()) - before).toBeLessThan(10);
  } finally {
    await store.close();
    await redis.dispose();
  }
});
