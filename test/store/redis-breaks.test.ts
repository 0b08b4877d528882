import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { LogFollower, Store } from "../../src/auth/store.ts";
import { redisKeys } from "../../src/store/redis/keys.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { committed } from "../contract/store.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { put, RecordingFollower } from "./recording-follower.ts";

const { log } = redisKeys();
/** The follower reads the log every half second; the rest is slack for a busy machine. */
const noticed = { timeout: 5_000, interval: 20 };

describe("breaks of the log on Redis", () => {
  let server: RedisServer;
  let proxy: FaultProxy;
  let store: Store;
  let told: RecordingFollower;
  let follower: LogFollower;

  beforeAll(async () => {
    server = await startRedis({ config: ["repl-diskless-sync-delay 0"] });
    proxy = await startFaultProxy({ host: "127.0.0.1", port: server.port });
  });
  beforeEach(async () => {
    await server.command("FLUSHALL");
    store = await openRedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeoutMs: 2_000 });
    told = new RecordingFollower();
    follower = store.follow(0, told.onEntries, told.onBreak);
    await follower.caughtUp;
  });
  afterEach(async () => {
    proxy.pass();
    await store.close();
  });
  afterAll(async () => {
    await proxy?.stop();
    await server?.dispose();
  });

  const isFollowing = () => expect.poll(() => follower.following, noticed).toBe(true);

  it("reports `lost` if Redis is flushed, before anything else, and starts over", async () => {
    const before = await put(store);
    await told.until(before.marker);
    await server.command("FLUSHALL");
    await told.until("lost");
    const after = await put(store);
    await told.until(after.marker);
    expect(told.all).toEqual([before.marker, "lost", after.marker]);
    await isFollowing();
  });

  it("reports `lost` if Redis was flushed and the log has grown past the old end since", async () => {
    const before = await put(store);
    await told.until(before.marker);
    proxy.refuse();
    await expect.poll(() => follower.following, noticed).toBe(false);
    const direct = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
    await server.command("FLUSHALL");
    const after = await put(direct);
    await put(direct, "last");
    proxy.pass();
    await told.until("last");
    expect(told.all).toEqual([before.marker, "lost", after.marker, "last"]);
    await direct.close();
  });

  it("reports `lost` if the newer log of a flushed Redis has been trimmed already", async () => {
    for (let n = 0; n < 5; n += 1) await put(store);
    const before = await put(store);
    await told.until(before.marker);
    proxy.refuse();
    await expect.poll(() => follower.following, noticed).toBe(false);
    const direct = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
    await server.command("FLUSHALL");
    await put(direct);
    await put(direct, "last");
    await server.command("XTRIM", log, "MAXLEN", "1");
    proxy.pass();
    await told.until("last");
    expect(told.all.slice(-3)).toEqual([before.marker, "lost", "last"]);
    await direct.close();
  });

  it.each(["at once", "after the copy has gone on"])(
    "reports `lost` if an old copy is restored, %s",
    async (when) => {
      const copy = await startRedis({ config: ["repl-diskless-sync-delay 0"] });
      const kept = await put(store);
      await replicate(copy, server);
      await copy.command("REPLICAOF", "NO", "ONE");
      const lost = await put(store);
      await told.until(lost.marker);
      if (when !== "at once") {
        const elsewhere = await openRedisStore({ url: copy.url, timeoutMs: 2_000 });
        await put(elsewhere, "of the copy");
        await elsewhere.close();
      }
      await replicate(server, copy);
      await server.command("REPLICAOF", "NO", "ONE");
      await told.until("lost");
      await expect
        .poll(
          () =>
            put(store, "new").then(
              () => true,
              () => false,
            ),
          noticed,
        )
        .toBe(true);
      await told.until("new");
      const ofCopy = when === "at once" ? [] : ["of the copy"];
      expect(told.all).toEqual([kept.marker, lost.marker, "lost", kept.marker, ...ofCopy, "new"]);
      await copy.dispose();
    },
  );

  it("reports `lost` after the caller knows of a commit that was lost before its durability was known", async () => {
    const replica = await startRedis({ config: ["repl-diskless-sync-delay 0"] });
    await replicate(replica, server);
    const durably = (marker: string) => committed(store, { log: [{ marker }], durable: true });
    await expect.poll(async () => (await durably("before")).durability, noticed).toBe("replicated");
    // The commit waits for it, so the log can be lost between the write and its answer.
    replica.pause();
    const committing = durably("ended").then(() => told.all.push("committed"));
    await told.until("ended");
    await server.command("FLUSHALL");
    const direct = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
    await put(direct, "after");
    await committing;
    await expect.poll(() => told.all.slice(told.all.indexOf("committed")), noticed).toContain("lost");
    await direct.close();
    replica.resume();
    await replica.dispose();
  });

  it("reports `lost` if the same position holds another entry", async () => {
    const { marker, position } = await put(store);
    await told.until(marker);
    proxy.refuse();
    await expect.poll(() => follower.following, noticed).toBe(false);
    await server.command("DEL", log);
    await server.command("XADD", log, position, "v", "7", "e", JSON.stringify({ marker: "other" }));
    proxy.pass();
    await told.until("other");
    expect(told.all).toEqual([marker, "lost", "other"]);
  });

  it("reports `lost` for an own commit that was acknowledged and never delivered", async () => {
    const first = await put(store);
    await told.until(first.marker);
    told.refuses = true;
    const { position } = await put(store);
    await server.command("XDEL", log, position);
    told.refuses = false;
    await told.until("lost");
    await told.until(first.marker);
    expect(told.all).toEqual([first.marker, "lost", first.marker]);
    await isFollowing();
  });

  it("reports `trimmed`, and not `lost`, if the log was trimmed past what was delivered", async () => {
    const before = await put(store);
    await told.until(before.marker);
    proxy.refuse();
    await expect.poll(() => follower.following, noticed).toBe(false);
    const direct = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
    for (let n = 0; n < 3; n += 1) await put(direct, `n${n}`);
    await server.command("XTRIM", log, "MAXLEN", "2");
    proxy.pass();
    await told.until("n2");
    expect(told.all).toEqual([before.marker, "trimmed", "n1", "n2"]);
    const after = await put(direct);
    await told.until(after.marker);
    await isFollowing();
    await direct.close();
  });

  it("reports neither after lost connections, restarts of the tail and a trim of what was delivered long ago", async () => {
    const markers: string[] = [];
    for (let n = 0; n < 30; n += 1) {
      if (n % 3 === 0) proxy.cut();
      if (n % 3 === 1) follower.restart();
      if (n % 10 === 9) await server.command("XTRIM", log, "MAXLEN", "3");
      await expect
        .poll(
          () =>
            put(store, `n${n}`).then(
              ({ marker }) => markers.push(marker) > 0,
              () => false,
            ),
          noticed,
        )
        .toBe(true);
      await told.until(`n${n}`);
    }
    expect([...new Set(told.all)]).toEqual(markers);
    await isFollowing();
  });

  it("continues on a new connection when it is restarted", async () => {
    const { marker } = await put(store);
    await told.until(marker);
    const before = await clients(server);
    follower.restart();
    expect(follower.following).toBe(false);
    await isFollowing();
    const opened = [...(await clients(server))].filter((id) => !before.has(id));
    expect(opened.length).toBeGreaterThanOrEqual(1);
    const next = await put(store);
    await told.until(next.marker);
    expect(told.all).toEqual([marker, next.marker]);
  });

  it("delivers nothing from a replica", async () => {
    const other = await startRedis({ config: ["repl-diskless-sync-delay 0"] });
    const { marker } = await put(store);
    await told.until(marker);
    await replicate(other, server);
    await other.command("REPLICAOF", "NO", "ONE");
    await replicate(server, other);
    const primary = await openRedisStore({ url: other.url, timeoutMs: 2_000 });
    await expect.poll(() => follower.following, noticed).toBe(false);
    await put(primary, "of the primary");
    await expect
      .poll(() => server.command("XREVRANGE", log, "+", "-", "COUNT", "1"))
      .toContain("of the primary");
    follower.restart();
    // Longer than two attempts to connect.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(follower.following).toBe(false);
    expect(told.all).toEqual([marker]);
    await server.command("REPLICAOF", "NO", "ONE");
    await told.until("of the primary");
    expect(told.all).toEqual([marker, "of the primary"]);
    await primary.close();
    await other.dispose();
  });

  it("delivers an entry that the store did not write without members, and continues", async () => {
    await server.command("XADD", log, "*", "v", "x", "e", "{broken");
    await server.command("XADD", log, "*", "only", "this");
    await server.command("XADD", log, "*", "v", "1", "e", "[1]");
    const { marker } = await put(store);
    await told.until(marker);
    expect(told.all).toEqual(["none", "none", "none", marker]);
    await isFollowing();
  });
});

async function replicate(to: RedisServer, from: RedisServer): Promise<void> {
  await to.command("REPLICAOF", "127.0.0.1", String(from.port));
  await expect
    .poll(() => to.command("INFO", "replication").catch(() => ""), { timeout: 15_000, interval: 20 })
    .toContain("master_link_status:up");
}

async function clients(server: RedisServer): Promise<ReadonlySet<string>> {
  const list = await server.command("CLIENT", "LIST");
  return new Set([...list.matchAll(/^id=(\d+) .*name=gatehouse/gm)].map(([, id]) => id ?? ""));
}
