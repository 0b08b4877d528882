import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { LogFollower, Store } from "../../src/auth/store.ts";
import { parseRedisUrl } from "../../src/store/redis/address.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { SentinelWatch } from "../../src/store/redis/sentinel-watch.ts";
import { committed } from "../contract/store.ts";
import {
  type RedisServer,
  type SentinelGroup,
  startRedis,
  startRedisSentinels,
} from "../support/redis-server.ts";
import { put, RecordingFollower } from "./recording-follower.ts";

const soon = { timeout: 20_000, interval: 50 };

describe("which primary the Sentinels name", () => {
  let group: SentinelGroup;
  let store: Store;
  let follower: LogFollower;
  beforeAll(async () => {
    group = await startRedisSentinels({ downAfter: 60_000 });
  });
  beforeEach(async () => {
    store = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
  });
  afterEach(async () => {
    for (const sentinel of group.sentinels) sentinel.resume();
    await store.close();
  });
  afterAll(() => group?.dispose());

  const follow = async () => {
    follower = store.follow(Date.now(), () => undefined);
    await follower.caughtUp;
  };
  const age = () => performance.now() - store.primaryConfirmedAt();
  /** Resolves once a question that was asked after this call has the expected answer. */
  const confirmed = async () => {
    const from = performance.now();
    await expect.poll(() => store.primaryConfirmedAt() >= from, soon).toBe(true);
  };

  it("is asked while somebody follows, and only then", async () => {
    expect(store.primaryConfirmedAt()).toBe(Number.NEGATIVE_INFINITY);
    await follow();
    await confirmed();
    await confirmed();
    expect(age()).toBeLessThan(5_000);
    await follower.stop();
    expect(store.primaryConfirmedAt()).toBe(Number.NEGATIVE_INFINITY);
    await follow();
    await confirmed();
  });

  it("is confirmed by two of three, and not by one", async () => {
    await follow();
    await confirmed();
    const [first, second] = group.sentinels;
    second?.pause();
    await confirmed();
    first?.pause();
    await expect.poll(age, soon).toBeGreaterThan(2_500);
    first?.resume();
    await confirmed();
  });

  it("takes the majority of all Sentinels, also of those that the URL does not name", async () => {
    await store.close();
    const [first, second, third] = group.sentinels;
    const url = `redis+sentinel://127.0.0.1:${first?.port}/main`;
    store = await openRedisStore({ url, timeoutMs: 2_000 });
    await follow();
    await confirmed();
    second?.pause();
    await confirmed();
    third?.pause();
    await expect.poll(age, soon).toBeGreaterThan(2_500);
  });

  it("counts Sentinels that it only learned of and never reached", async () => {
    await store.close();
    const [first, second, third] = group.sentinels;
    second?.pause();
    third?.pause();
    const watch = new SentinelWatch({
      address: parseRedisUrl(`redis+sentinel://127.0.0.1:${first?.port}/main`),
      primary: { server: { host: "127.0.0.1", port: group.primary.port }, madeAt: 0 },
      others: () => [],
      onMoved: () => undefined,
    });
    watch.start();
    // Long enough for several answers of the first.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(watch.confirmedAt).toBe(Number.NEGATIVE_INFINITY);
    second?.resume();
    await expect.poll(() => watch.confirmedAt, soon).toBeGreaterThan(0);
    watch.stop();
  });

  it("is not confirmed by answers from before the connection was made, which may lead to another process", async () => {
    await follow();
    await confirmed();
    for (const sentinel of group.sentinels) sentinel.pause();
    await group.primary.command("CLIENT", "KILL", "TYPE", "normal");
    await expect.poll(() => store.commit({}).catch(() => undefined), soon).toMatchObject({ ok: true });
    expect(store.primaryConfirmedAt()).toBe(Number.NEGATIVE_INFINITY);
    for (const sentinel of group.sentinels) sentinel.resume();
    await confirmed();
  });

  it("is not confirmed while commits go to another server, which is reported after a while", async () => {
    const moved: boolean[] = [];
    const other = { host: "127.0.0.1", port: group.replica.port };
    const named = { host: "::ffff:127.0.0.1", port: group.primary.port };
    const primary = { server: other, madeAt: 0 };
    const watch = new SentinelWatch({
      address: parseRedisUrl(group.url),
      primary,
      others: () => [],
      onMoved: (isPrimary) => moved.push(isPrimary(other), isPrimary(named)),
    });
    watch.start();
    await expect.poll(() => moved, soon).toEqual([false, true]);
    expect(watch.confirmedAt).toBe(Number.NEGATIVE_INFINITY);
    expect(watch.named).toEqual({ host: "127.0.0.1", port: group.primary.port });
    primary.server = named;
    expect(watch.confirmedAt).toBeGreaterThan(0);
    watch.stop();
  });

  it("is not asked for one Redis", async () => {
    const server = await startRedis();
    const single = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
    expect(single.primaryConfirmedAt()).toBe(Number.POSITIVE_INFINITY);
    await single.close();
    await server.dispose();
  });
});

describe("an old primary that stays up", () => {
  it("is left by commits and followers once most Sentinels name another, though its connections are open", async () => {
    const group = await startRedisSentinels({ downAfter: 60_000 });
    const store = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
    const told = new RecordingFollower();
    const follower = store.follow(Date.now() - 60_000, told.onEntries, told.onBreak);
    const { durability } = await committed(store, { log: [{ marker: "before" }], durable: true });
    expect(durability).toBe("replicated");
    await told.until("before");
    await expect.poll(() => store.primaryConfirmedAt(), soon).toBeGreaterThan(0);

    await group.replica.command("REPLICAOF", "NO", "ONE");
    const port = String(group.replica.port);
    for (const sentinel of group.sentinels) {
      await sentinel.command("SENTINEL", "REMOVE", "main");
      await sentinel.command("SENTINEL", "MONITOR", "main", "127.0.0.1", port, "2");
    }
    const from = performance.now();
    await expect.poll(() => store.primaryConfirmedAt() >= from, soon).toBe(true);
    await expect.poll(() => clients(group.primary), soon).toBe(0);
    const old = await openRedisStore({ url: group.primary.url, timeoutMs: 2_000 });
    await put(old, "on the old primary");
    await expect.poll(() => follower.following, soon).toBe(true);
    await put(store, "on the new one");
    await committed(store, { log: [{ marker: "and durably" }], durable: true });
    await told.until("and durably");
    expect(told.all).toEqual(["before", "on the new one", "and durably"]);
    await Promise.all([store.close(), old.close()]);
    await group.dispose();
  });
});

describe("Sentinels that disagree", () => {
  let group: SentinelGroup;
  beforeEach(async () => {
    group = await startRedisSentinels({ downAfter: 60_000 });
  });
  afterEach(() => group.dispose());

  /** Promotes the replica; `heard` are the Sentinels that have learned of it. */
  async function promote(heard: readonly RedisServer[]): Promise<void> {
    await group.replica.command("REPLICAOF", "NO", "ONE");
    const port = String(group.replica.port);
    for (const sentinel of heard) {
      await sentinel.command("SENTINEL", "REMOVE", "main");
      await sentinel.command("SENTINEL", "MONITOR", "main", "127.0.0.1", port, "2");
    }
  }

  it("are decided by their majority, at the first connection and every other, whichever the URL names first", async () => {
    const [, ...heard] = group.sentinels;
    await promote(heard);
    const store = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
    await committed(store, { log: [{ marker: "here" }] });
    expect(await clients(group.primary)).toBe(0);
    expect(await clients(group.replica)).toBe(1);
    await group.replica.command("CLIENT", "KILL", "TYPE", "normal");
    await expect.poll(() => committed(store, {}).catch(() => undefined), soon).toMatchObject({ ok: true });
    await committed(store, { log: [{ marker: "and here" }], durable: true });
    expect(await clients(group.primary)).toBe(0);
    await store.close();
  });

  it("redirect commits from an old primary that the first of them still names", async () => {
    const store = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
    const follower = store.follow(Date.now(), () => undefined);
    await follower.caughtUp;
    await committed(store, { durable: true });
    expect(await clients(group.primary)).toBe(3);
    const [, ...heard] = group.sentinels;
    await promote(heard);
    const from = performance.now();
    await expect.poll(() => store.primaryConfirmedAt() >= from, soon).toBe(true);
    await expect.poll(() => clients(group.primary), soon).toBe(0);
    await committed(store, { log: [{ marker: "moved" }], durable: true });
    await expect.poll(() => follower.following, soon).toBe(true);
    expect(await group.replica.command("XLEN", "gatehouse:{gh}:log")).not.toBe("0");
    expect(await clients(group.primary)).toBe(0);
    await store.close();
  });
});

describe("a slow failover", () => {
  it("leaves the old primary unconfirmed, whatever the other Sentinels say, until it is complete", async () => {
    const group = await startRedisSentinels({ downAfter: 60_000 });
    const store = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
    await store.follow(Date.now(), () => undefined).caughtUp;
    await expect.poll(() => store.primaryConfirmedAt(), soon).toBeGreaterThan(0);
    const [first, ...others] = group.sentinels;
    group.replica.pause();
    expect(await first?.command("SENTINEL", "FAILOVER", "main")).toBe("OK");
    await expect.poll(() => store.primaryConfirmedAt(), soon).toBe(Number.NEGATIVE_INFINITY);
    for (const other of others)
      expect(await other.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")).toContain(
        String(group.primary.port),
      );
    group.replica.resume();
    const from = performance.now();
    await expect.poll(() => store.primaryConfirmedAt() >= from, soon).toBe(true);
    await store.close();
    await group.dispose();
  });
});

describe("a failover that only one Sentinel has learned of", () => {
  it("is trusted over the majority that has not, even if the old primary is back", async () => {
    const group = await startRedisSentinels({ downAfter: 60_000 });
    const store = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
    const follower = store.follow(Date.now(), () => undefined);
    await follower.caughtUp;
    const [first, ...others] = group.sentinels;
    for (const other of others) other.pause();
    // It asks no other Sentinel, and assigns the next epoch.
    await first?.command("SENTINEL", "FAILOVER", "main");
    await expect.poll(() => group.primaryPort(), soon).toBe(group.replica.port);
    for (const other of others) other.resume();
    const late = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
    await expect.poll(() => committed(late, {}).catch(() => undefined), soon).toMatchObject({ ok: true });
    await expect.poll(() => clients(group.primary), soon).toBe(0);
    expect(await clients(group.replica)).toBeGreaterThan(0);
    await Promise.all([store.close(), late.close()]);
    await group.dispose();
  });
});

describe("Sentinels that suddenly require a password", () => {
  it("leave no rejection unhandled, and their last answers expire", async ({ onTestFinished }) => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    onTestFinished(() => void process.off("unhandledRejection", note));
    const group = await startRedisSentinels({ downAfter: 60_000 });
    onTestFinished(() => group.dispose());
    const store = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
    await store.follow(Date.now(), () => undefined).caughtUp;
    await expect.poll(() => store.primaryConfirmedAt(), soon).toBeGreaterThan(0);
    for (const sentinel of group.sentinels) {
      await sentinel.command("ACL", "SETUSER", "default", "-@all", "+client", "+ping");
      for (const type of ["normal", "pubsub"]) await sentinel.command("CLIENT", "KILL", "TYPE", type);
    }
    const age = () => performance.now() - store.primaryConfirmedAt();
    await expect.poll(age, soon).toBeGreaterThan(4_000);
    expect(await store.commit({})).toMatchObject({ ok: true });
    await store.close();
    expect(unhandled).toEqual([]);
  });
});

/** Connections of the store to this server. */
async function clients(server: RedisServer): Promise<number> {
  return (await server.command("CLIENT", "LIST"))
    .split("\n")
    .filter((line) => line.includes("name=gatehouse")).length;
}

describe("a failover that loses acknowledged commits", () => {
  it("is reported as `lost`, for an entry that was delivered and for one that was not, on every node", async () => {
    const group = await startRedisSentinels();
    const store = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
    const another = await openRedisStore({ url: group.url, timeoutMs: 2_000 });
    const [told, deaf, elsewhere] = [
      new RecordingFollower(),
      new RecordingFollower(),
      new RecordingFollower(),
    ];
    const since = Date.now() - 60_000;
    const followers = [
      store.follow(since, told.onEntries, told.onBreak),
      store.follow(since, deaf.onEntries, deaf.onBreak),
      another.follow(since, elsewhere.onEntries, elsewhere.onBreak),
    ];
    const kept = await put(store);
    await Promise.all([told, deaf, elsewhere].map((one) => one.until(kept.marker)));
    const { durability } = await committed(store, { log: [{ marker: "kept" }], durable: true });
    expect(durability).toBe("replicated");

    deaf.refuses = true;
    group.replica.pause();
    await group.primary.command("CLIENT", "KILL", "TYPE", "replica");
    const lost = await put(store);
    await Promise.all([told, elsewhere].map((one) => one.until(lost.marker)));
    await group.primary.kill();
    group.replica.resume();
    deaf.refuses = false;

    await Promise.all([told, deaf, elsewhere].map((one) => one.until("lost")));
    const goesOn = () =>
      put(store, "after").then(
        () => true,
        () => false,
      );
    await expect.poll(goesOn, soon).toBe(true);
    await Promise.all([told, deaf, elsewhere].map((one) => one.until("after")));
    for (const one of [told, deaf, elsewhere]) {
      const sinceLoss = one.all.slice(one.all.indexOf("lost"));
      expect(sinceLoss.filter((what) => what === "lost")).toHaveLength(1);
      expect(sinceLoss.slice(1, 3)).toEqual([kept.marker, "kept"]);
      expect(sinceLoss).not.toContain(lost.marker);
    }
    expect(deaf.all).not.toContain(lost.marker);
    await expect.poll(() => followers.every(({ following }) => following), soon).toBe(true);
    const from = performance.now();
    await expect.poll(() => store.primaryConfirmedAt() >= from, soon).toBe(true);
    await store.close();
    await another.close();
    await group.dispose();
  });
});
