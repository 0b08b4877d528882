import { copyFileSync, existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { LogFollower, RecordKey, Store } from "../../src/auth/store.ts";
import { backUpStore } from "../../src/store/embedded/backup.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { takeLock } from "../../src/store/embedded/gateway-lock.ts";
import { StoreFile } from "../../src/store/embedded/store-file.ts";
import { eventually } from "../support/eventually.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

let folder: TemporaryFolder;
let gateway: Store;
let follower: LogFollower;
const file = (name = "gatehouse.mdb") => path.join(folder.path, name);
const open = (role: "gateway" | "cli") => openEmbeddedStore({ folder: folder.path, role });
const put = (store: Store) =>
  store.commit({ put: [{ key: `kept:${Math.random()}` as RecordKey, value: {} }], log: [{ n: 1 }] });

beforeEach(async () => {
  folder = temporaryFolder();
  gateway = await open("gateway");
  await put(gateway);
  follower = gateway.follow(0, () => undefined);
  await follower.caughtUp;
});
afterEach(async () => {
  await gateway.close();
  folder.remove();
});

async function isOutOfService(reason: RegExp): Promise<void> {
  await expect(put(gateway)).rejects.toMatchObject({
    code: "unavailable",
    detail: expect.stringMatching(reason),
  });
  expect(await gateway.health()).toMatchObject({ ok: false, detail: expect.stringMatching(reason) });
  // Without it the node serves on what it knows, until its lease ends.
  await eventually("the log is not followed", () => !follower.following);
}

async function isInService(): Promise<void> {
  await eventually("the log is followed", () => follower.following);
  expect(await put(gateway)).toMatchObject({ ok: true });
  await eventually("it is well", async () => (await gateway.health()).ok);
}

describe("a gateway whose files somebody removed or replaced", () => {
  it("does not share the store by another lock file: it stops, and a command does not begin", async () => {
    renameSync(file("gatehouse.mdb-lock"), file("moved"));
    await expect(open("cli")).rejects.toThrow(
      `process ${process.pid} still serves from what was ${file("gatehouse.mdb-lock")} before: stop it first`,
    );
    await expect(backUpStore(folder.path, file("copy"))).rejects.toThrow("still serves from what was");
    expect([existsSync(file("gatehouse.mdb-lock")), existsSync(file("copy"))]).toEqual([false, false]);
    await isOutOfService(/gatehouse\.mdb-lock was removed or replaced/);
    renameSync(file("moved"), file("gatehouse.mdb-lock"));
    await isInService();
    await (await open("cli")).close();
  });

  it("does not go on writing to a file without a name, and a command leaves the backup in its place as it is", async () => {
    await backUpStore(folder.path, file("copy"));
    renameSync(file(), file("moved"));
    copyFileSync(file("copy"), file());
    for (const role of ["cli", "gateway"] as const)
      await expect(open(role)).rejects.toThrow(`still serves from what was ${file()} before: stop it first`);
    await isOutOfService(/gatehouse\.mdb was removed or replaced/);
    await gateway.close();
    rmSync(file("gatehouse.mdb-lock"));
    gateway = await open("gateway");
    follower = gateway.follow(0, () => undefined);
    await isInService();
  });

  it("does not begin a new store where the data file was removed", async () => {
    renameSync(file(), file("moved"));
    await expect(open("cli")).rejects.toThrow("still serves from what was");
    expect(existsSync(file())).toBe(false);
    renameSync(file("moved"), file());
    await isInService();
  });
});

it("a gateway whose lock another one took says so at once, and does not serve on", async () => {
  const other = await StoreFile.open(folder.path);
  // As another PID namespace does, in which this process does not exist.
  await other.transact((tables) => {
    tables.state.removeSync(Buffer.from("gateway"));
    takeLock(tables, { pid: 4, startedAt: null, token: "another" });
  });
  await isOutOfService(/process 4 has taken the store over/);
  await other.close();
});

it.each(["", "null", "[]", '{"holder":{}}'])("opens beside a file that says nothing: %s", async (text) => {
  writeFileSync(file("gatehouse.mdb-gateway"), text);
  await (await open("cli")).close();
});

it("leaves nothing beside the data file and its lock file when it is closed", async () => {
  expect(existsSync(file("gatehouse.mdb-gateway"))).toBe(true);
  await gateway.close();
  expect(existsSync(file("gatehouse.mdb-gateway"))).toBe(false);
});
