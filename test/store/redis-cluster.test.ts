import { expect, it } from "vitest";

import { redisKeys } from "../../src/store/redis/keys.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { committed } from "../contract/store.ts";
import { startProcess } from "../support/child-process.ts";
import { type RedisCluster, type RedisServer, startRedisCluster } from "../support/redis-server.ts";
import { within } from "../support/within.ts";
import { put, RecordingFollower } from "./recording-follower.ts";

const soon = { timeout: 30_000, interval: 50 };

/** The primary with the store's slot, and its replica. */
async function pairOf(cluster: RedisCluster): Promise<{ primary: RedisServer; replica: RedisServer }> {
  for (const [at, primary] of cluster.primaries.entries()) {
    const replica = cluster.replicas[at];
    // Only the node that owns the slot answers.
    const has = await primary.command("GET", redisKeys().commits).then(
      () => true,
      () => false,
    );
    if (has && replica !== undefined) return { primary, replica };
  }
  throw new Error("nobody has the slot");
}

it("reports `lost` after a failover in a Cluster that lost acknowledged commits, and continues at the new primary", async () => {
  const cluster = await startRedisCluster({ replicas: true });
  const store = await openRedisStore({ url: cluster.url, timeoutMs: 2_000 });
  const told = new RecordingFollower();
  const follower = store.follow(Date.now() - 60_000, told.onEntries, told.onBreak);
  const { durability } = await committed(store, { log: [{ marker: "kept" }], durable: true });
  expect(durability).toBe("replicated");
  await told.until("kept");
  const { primary, replica } = await pairOf(cluster);

  replica.pause();
  await primary.command("CLIENT", "KILL", "TYPE", "replica");
  await put(store, "gone");
  await told.until("gone");
  await primary.kill();
  replica.resume();
  await told.until("lost");
  const goesOn = () =>
    put(store, "after").then(
      () => true,
      () => false,
    );
  await expect.poll(goesOn, soon).toBe(true);
  await told.until("after");
  expect(told.all.slice(0, 5)).toEqual(["kept", "gone", "lost", "kept", "after"]);
  await expect.poll(() => follower.following, soon).toBe(true);
  await store.close();
  await cluster.dispose();
});

it("a client of a Cluster that ends while it asks for the slots asks no more, and its process ends", async () => {
  const cluster = await startRedisCluster();
  const script = new URL("./redis-cluster-ending-process.ts", import.meta.url);
  const child = startProcess({ script, args: [cluster.url] });
  try {
    await child.line(/^connected$/);
    // The next refresh of the slots gets no answer.
    for (const server of cluster.servers) server.pause();
    await child.line(/^ended$/);
    expect(await within(child.exited, "the end of the process")).toBe(0);
    expect(child.stderr).toBe("");
  } finally {
    child.kill("SIGKILL");
    await cluster.dispose();
  }
});
