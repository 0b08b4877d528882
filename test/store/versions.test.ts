import { describe, expect, it } from "vitest";

import { readRecord, type Store } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { stepLimits } from "../../src/store/step-limits.ts";
import { committed, recordName } from "../contract/store.ts";
import { startRedis } from "../support/redis-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const versionOf = async (store: Store) => (await committed(store, { log: [{}] })).version;

/** What every store does once its versions reach the maximum of a clock. */
async function expectExactAtTheEnd(store: Store): Promise<void> {
  const key = recordName("epoch");
  await committed(store, { raiseEpochsTo: [{ key, version: stepLimits.version }] });
  expect((await readRecord(store, key))?.version).toBe(stepLimits.version);
  for (let n = 2; n < 10; n += 1) {
    expect(await versionOf(store)).toBe(stepLimits.version + n);
  }
  const { version } = await committed(store, { bumpEpochs: [key] });
  expect(await readRecord(store, key)).toEqual({ version, value: {} });
  expect(Number.isSafeInteger(version)).toBe(true);
}

describe("versions of the embedded store", () => {
  it("are the clock's, rise by one if it stands still or goes back, and do not follow one that is far ahead", async () => {
    const folder = temporaryFolder();
    let now = 1_700_000_000_000;
    const clock = { now: () => now, monotonic: () => performance.now() };
    const store = await openEmbeddedStore({ folder: folder.path, role: "gateway", clock });
    expect(await versionOf(store)).toBe(1_700_000_000_000_000);
    expect(await versionOf(store)).toBe(1_700_000_000_000_001);
    now += 5;
    expect(await versionOf(store)).toBe(1_700_000_000_005_000);
    now -= 3_600_000;
    expect(await versionOf(store)).toBe(1_700_000_000_005_001);
    // The year 2300.
    now = 10_413_792_000_000;
    expect(await versionOf(store)).toBe(1_700_000_000_005_002);
    await expectExactAtTheEnd(store);
    await store.close();
    folder.remove();
  });
});

describe("versions of the Redis store", () => {
  it("do not fall if Redis loses all its data", async () => {
    const server = await startRedis();
    const store = await openRedisStore({ url: server.url, timeoutMs: 2_000 });
    const before = await versionOf(store);
    await server.command("FLUSHALL");
    expect(await versionOf(store)).toBeGreaterThan(before);
    const other = await startRedis();
    const elsewhere = await openRedisStore({ url: other.url, timeoutMs: 2_000 });
    expect(await versionOf(elsewhere)).toBeGreaterThan(before);
    await expectExactAtTheEnd(elsewhere);
    await Promise.all([store.close(), elsewhere.close()]);
    await Promise.all([server.dispose(), other.dispose()]);
  });
});
