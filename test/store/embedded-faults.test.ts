import { execFileSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RecordKey, Store } from "../../src/auth/store.ts";
import { readRecord } from "../../src/auth/store.ts";
import { embeddedLockHolder, openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { storeFileName } from "../../src/store/embedded/files.ts";
import { takeLock } from "../../src/store/embedded/gateway-lock.ts";
import { StoreFile } from "../../src/store/embedded/store-file.ts";
import { Collector, committed, recordName } from "../contract/store.ts";
import { startProcess } from "../support/child-process.ts";
import { stretched } from "../support/machine-share.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

const committing = new URL("./committing-process.ts", import.meta.url);

function acknowledged(lines: readonly string[]): number[] {
  return lines.filter((line) => line.startsWith("ok ")).map((line) => Number(line.slice(3)));
}

async function missing(store: Store, numbers: readonly number[]): Promise<number[]> {
  const records = await store.get(numbers.map((n) => `acked:${n}` as RecordKey));
  return numbers.filter((n, at) => records[at]?.value.n !== n);
}

describe("embedded store", () => {
  let folder: TemporaryFolder;
  const file = () => path.join(folder.path, storeFileName);
  const open = (role: "gateway" | "cli" = "gateway") => openEmbeddedStore({ folder: folder.path, role });
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => folder.remove());

  it("keeps every acknowledged commit through kill -9 at any moment", async () => {
    let next = 0;
    const acked: number[] = [];
    for (const afterCommits of [1, 40, 300, 700]) {
      const child = startProcess({ script: committing, args: [folder.path, String(next)] });
      await child.line(new RegExp(`^ok ${next + afterCommits}$`));
      child.kill("SIGKILL");
      expect(await child.exited, child.stderr).toBe("SIGKILL");
      const numbers = acknowledged(child.lines);
      acked.push(...numbers);
      next = Math.max(...numbers) + 100;
    }
    const store = await open();
    expect(acked.length).toBeGreaterThan(900);
    expect(await missing(store, acked)).toEqual([]);
    await store.close();
  });

  it("refuses commits while the disk is full, survives, and writes again once there is space", async () => {
    const child = startProcess({ script: committing, args: [folder.path, "0"], fileSizeLimitKiB: 512 });
    expect(await child.line(/^failed/)).toMatch(/^failed unavailable embedded store: not written/);
    const before = acknowledged(child.lines).length;
    expect(before).toBeGreaterThan(0);
    execFileSync("prlimit", ["--pid", String(child.pid), "--fsize=unlimited"]);
    const last = Math.max(...acknowledged(child.lines));
    await child.line(new RegExp(`^ok ${last + 500}$`));
    child.kill("SIGKILL");
    await child.exited;
    const store = await open();
    expect(await missing(store, acknowledged(child.lines))).toEqual([]);
    await store.close();
  });

  it("refuses a second gateway with the first one's pid, and takes over from one that died", async () => {
    const child = startProcess({ script: committing, args: [folder.path, "0"] });
    await child.line(/^ok 5$/);
    await expect(open()).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(`process ${child.pid}`),
    });
    expect(await embeddedLockHolder(folder.path)).toEqual({ pid: child.pid });
    child.kill("SIGKILL");
    await child.exited;
    expect(await embeddedLockHolder(folder.path)).toBeUndefined();
    const store = await open();
    expect(await embeddedLockHolder(folder.path)).toEqual({ pid: process.pid });
    await store.close();
    expect(await embeddedLockHolder(folder.path)).toBeUndefined();
  });

  it("opens for the CLI beside a gateway process, whose log and records it sees", async () => {
    const child = startProcess({ script: committing, args: [folder.path, "0", "1"] });
    await child.line(/^ok 5$/);
    const cli = await open("cli");
    const collector = new Collector();
    const follower = cli.follow(Date.now() - 60_000, collector.listener);
    await follower.caughtUp;
    const last = Math.max(...acknowledged(child.lines)) + 50;
    await child.line(new RegExp(`^ok ${last}$`));
    const seen = performance.now();
    await collector.until((entries) => entries.some((entry) => entry.event.n === last));
    expect(performance.now() - seen).toBeLessThan(stretched(1_000));
    expect(await missing(cli, [last])).toEqual([]);
    await committed(cli, { put: [{ key: "from:cli" as RecordKey, value: {} }] });
    await follower.stop();
    await cli.close();
    child.kill("SIGKILL");
    await child.exited;
  });

  // lmdb-js opens a file with a synchronous write, which would wait for ever for the commit that waits for this thread.
  it("opens a second time in one process while commits are in progress", async () => {
    const store = await open();
    for (let round = 0; round < 20; round += 1) {
      const writes = Array.from({ length: 5 }, () => committed(store, { bumpEpochs: [recordName()] }));
      const others = await Promise.all([open("cli"), open("cli")]);
      await Promise.all([
        ...writes,
        ...others.map((other) => committed(other, { bumpEpochs: [recordName()] })),
      ]);
      await Promise.all(others.map((other) => other.close()));
    }
    await store.close();
  });

  it("stops writing once another process took its lock over", async () => {
    const store = await open();
    await committed(store, { put: [{ key: recordName(), value: {} }] });
    const other = await StoreFile.open(folder.path);
    await other.transact((tables) => {
      tables.state.removeSync(Buffer.from("gateway"));
      takeLock(tables, { pid: 1, startedAt: null, token: "another" });
    });
    const key = recordName();
    await expect(store.commit({ put: [{ key, value: {} }] })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("process 1 has taken the store over"),
    });
    expect(await readRecord(store, key)).toBeUndefined();
    expect((await store.health()).ok).toBe(false);
    await other.close();
    await store.close();
  });

  it("does not wait for ever for a disk, or for a process that holds the write lock, not even to close", async () => {
    const store = await openEmbeddedStore({ folder: folder.path, role: "gateway", timeoutMs: 300 });
    const holder = await StoreFile.open(folder.path);
    let release = (): void => undefined;
    const held = holder.transact(() => new Promise<void>((resolve) => (release = resolve)));
    const late = expect(store.commit({ bumpEpochs: [recordName()] })).rejects;
    await late.toMatchObject({ code: "unavailable", message: expect.stringContaining("within 300 ms") });
    const start = performance.now();
    await expect(store.commit({ bumpEpochs: [recordName()] })).rejects.toThrow("the disk does not answer");
    expect(performance.now() - start).toBeLessThan(stretched(250));
    expect(await readRecord(store, recordName())).toBeUndefined();
    expect((await store.health()).ok).toBe(false);
    await store.close();
    release();
    await held;
    await holder.close();
  });

  it("is created once, whoever opens it first, and leaves no draft behind", async () => {
    const abandoned = path.join(folder.path, `${storeFileName}.of-long-ago.new`);
    writeFileSync(abandoned, "half of a store");
    utimesSync(abandoned, 1_000_000, 1_000_000);
    const fresh = path.join(folder.path, `${storeFileName}.of-another-process.new`);
    writeFileSync(fresh, "");
    const stores = await Promise.all(Array.from({ length: 5 }, () => open("cli")));
    const [first] = stores;
    const key = recordName();
    if (first !== undefined) await committed(first, { put: [{ key, value: {} }] });
    for (const store of stores) expect(await readRecord(store, key)).toBeDefined();
    await Promise.all(stores.map((store) => store.close()));
    const left = readdirSync(folder.path).sort();
    expect(left).toEqual([storeFileName, `${storeFileName}-lock`, path.basename(fresh)].sort());
  });

  it("creates a folder for its owner only, and files that nobody else can read", async () => {
    const inner = path.join(folder.path, "made/data");
    const store = await openEmbeddedStore({ folder: inner, role: "gateway" });
    await committed(store, { put: [{ key: recordName(), value: {} }] });
    const mode = (name: string) => statSync(path.join(inner, name)).mode & 0o777;
    expect([mode("."), mode(storeFileName), mode(`${storeFileName}-lock`)]).toEqual([0o700, 0o600, 0o600]);
    await store.close();
  });

  describe("refuses to open, with an error that names the file,", () => {
    async function withData(): Promise<readonly RecordKey[]> {
      const store = await open();
      const keys = Array.from({ length: 20 }, () => recordName());
      for (const key of keys) {
        await committed(store, { put: [{ key, value: { text: "x".repeat(3_000) } }] });
      }
      await store.close();
      return keys;
    }

    it.each([
      ["text", Buffer.from("not a store at all")],
      ["noise", randomFillSync(Buffer.alloc(50_000))],
      ["zeros", Buffer.alloc(50_000)],
    ])("a file of %s", async (_, content) => {
      writeFileSync(file(), content);
      await expect(open()).rejects.toThrow(
        `cannot open the store ${file()}: it is damaged, or not a Gatehouse`,
      );
      expect(readFileSync(file())).toEqual(content);
    });

    // lmdb ended the process for some of these: half of the page that names the tables, a leaf of zeros.
    it("a store that was cut off anywhere, unless nothing is missing", async () => {
      const keys = await withData();
      const whole = readFileSync(file());
      const sizes = Array.from({ length: Math.floor(whole.length / 1_024) }, (_, at) => at * 1_024 + 100);
      const usable: number[] = [];
      for (const size of [1, ...sizes]) {
        writeFileSync(file(), whole);
        truncateSync(file(), size);
        const store = await open().catch((error: Error) => error);
        if (store instanceof Error) {
          expect(store.message, `cut to ${size}`).toContain(`cannot open the store ${file()}`);
          expect(statSync(file()).size).toBe(size);
          continue;
        }
        usable.push(size);
        expect((await store.get(keys)).every((record) => record !== undefined)).toBe(true);
        await committed(store, { put: [{ key: recordName(), value: { text: "x".repeat(3_000) } }] });
        await store.close();
      }
      expect(usable.length).toBeLessThan(sizes.length / 4);
      writeFileSync(file(), whole);
      await (await open()).close();
    });

    it("an lmdb file of another program", async () => {
      const { open: openLmdb } = await import("lmdb");
      const foreign = openLmdb<string, string>(file(), { noSubdir: true });
      await foreign.put("key", "value");
      await foreign.close();
      await expect(open()).rejects.toThrow("it is damaged, or not a Gatehouse store: restore a backup");
    });

    it("a store of a later format", async () => {
      await withData();
      const inner = await StoreFile.open(folder.path);
      await inner.transact((tables) => tables.state.putSync(Buffer.from("state"), '{"format":2}'));
      await inner.close();
      await expect(open()).rejects.toThrow("its format is 2, this version reads 1");
    });
  });
});

describe("embedded store with a manually advanced clock", () => {
  let folder: TemporaryFolder;
  let store: Store;
  let now: number;
  const clock = { now: () => now, monotonic: () => now };
  const bounds = { ageMs: 60_000, entries: 50 };

  beforeEach(async () => {
    folder = temporaryFolder();
    now = 1_000_000;
    store = await openEmbeddedStore({ folder: folder.path, role: "gateway", clock, logBounds: bounds });
  });
  afterEach(async () => {
    await store.close();
    folder.remove();
  });

  async function counts(): Promise<{ records: number; expiry: number; log: number }> {
    const inner = await StoreFile.open(folder.path);
    try {
      const { records, expiry, log } = inner.latest;
      return { records: records.getCount(), expiry: expiry.getCount(), log: log.getCount() };
    } finally {
      await inner.close();
    }
  }

  it("sweeps expired records from the disk", async () => {
    const keys = Array.from({ length: 450 }, () => recordName());
    await committed(store, { put: keys.map((key) => ({ key, value: {}, expiresAt: now + 1_000 })) });
    const kept = recordName();
    await committed(store, { put: [{ key: kept, value: {}, expiresAt: now + 5_000 }] });
    const [first = kept] = keys;
    expect(await readRecord(store, first)).toBeDefined();
    now += 1_000;
    expect(await readRecord(store, first)).toBeUndefined();
    await expect.poll(counts, { timeout: 5_000 }).toEqual({ records: 1, expiry: 1, log: 0 });
    expect(await readRecord(store, kept)).toBeDefined();
  });

  it("sweeps a record at its final expiry, not at an earlier one that was changed", async () => {
    const [later, sooner, kept, removed] = [recordName(), recordName(), recordName(), recordName()];
    const put = (key: RecordKey, expiresAt?: number) =>
      committed(store, { put: [{ key, value: {}, expiresAt }] });
    for (const key of [later, sooner, kept, removed]) await put(key, now + 2_000);
    await put(later, now + 3_000);
    await put(later, now + 4_000);
    await put(sooner, now + 1_000);
    await put(kept);
    await put(removed, now + 3_000);
    await committed(store, { remove: [removed] });
    now += 1_000;
    await expect.poll(counts, { timeout: 5_000 }).toMatchObject({ records: 2 });
    now += 1_000;
    await expect.poll(counts, { timeout: 5_000 }).toEqual({ records: 2, expiry: 1, log: 0 });
    expect(await readRecord(store, later)).toBeDefined();
    expect(await readRecord(store, kept)).toBeDefined();
    now += 2_000;
    await expect.poll(counts, { timeout: 5_000 }).toEqual({ records: 1, expiry: 0, log: 0 });
    expect(await readRecord(store, kept)).toBeDefined();
  });

  it("trims the log by age, and tells a follower how far back the log reaches", async () => {
    await committed(store, { log: [{ n: 1 }] });
    now += 50_000;
    await committed(store, { log: [{ n: 2 }] });
    now += 20_000;
    await expect.poll(async () => (await counts()).log, { timeout: 5_000 }).toBe(1);
    const collector = new Collector();
    const follower = store.follow(0, collector.listener);
    expect(await follower.caughtUp).toEqual({ since: 1_000_001 });
    expect(collector.entries.map((entry) => entry.event.n)).toEqual([2]);
    const later = store.follow(1_050_000, () => undefined);
    expect(await later.caughtUp).toEqual({ since: 1_050_000 });
  });

  it("trims the log by count", async () => {
    await committed(store, { log: Array.from({ length: 120 }, (_, n) => ({ n })) });
    await expect.poll(async () => (await counts()).log, { timeout: 5_000 }).toBe(50);
  });

  it("writes log times that never fall, even if the clock is set back", async () => {
    await committed(store, { log: [{ n: 1 }] });
    now -= 500_000;
    await committed(store, { log: [{ n: 2 }] });
    now += 600_000;
    await committed(store, { log: [{ n: 3 }] });
    const collector = new Collector();
    await store.follow(1_000_000, collector.listener).caughtUp;
    expect(collector.entries.map((entry) => [entry.at, entry.event.n])).toEqual([
      [1_000_000, 1],
      [1_000_000, 2],
      [1_100_000, 3],
    ]);
  });
});
