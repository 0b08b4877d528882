import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { LogFollower, Store } from "../../src/auth/store.ts";
import { openEmbeddedStore } from "../../src/store/embedded/embedded-store.ts";
import { readState, writeState } from "../../src/store/embedded/state.ts";
import { StoreFile } from "../../src/store/embedded/store-file.ts";
import { numberKey, type Tables } from "../../src/store/embedded/tables.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { put, RecordingFollower } from "./recording-follower.ts";

const soon = { timeout: 5_000, interval: 20 };

describe("breaks of the log in the embedded store", () => {
  let folder: TemporaryFolder;
  let store: Store;
  let told: RecordingFollower;
  let follower: LogFollower;

  beforeEach(async () => {
    folder = temporaryFolder();
    const logBounds = { ageMs: 3_600_000, entries: 5 };
    store = await openEmbeddedStore({ folder: folder.path, role: "gateway", logBounds });
    told = new RecordingFollower();
    follower = store.follow(0, told.onEntries, told.onBreak);
    await follower.caughtUp;
  });
  afterEach(async () => {
    await store.close();
    folder.remove();
  });

  /** Changes the file as if another one were in its place. */
  async function change(work: (tables: Tables) => void): Promise<void> {
    const file = await StoreFile.open(folder.path);
    await file.transact(work);
    await file.close();
  }

  /** Replaces the last `count` entries by one. */
  const replaceLast = (count: number, marker: string) =>
    change((tables) => {
      const state = readState(tables);
      for (let n = 0; n < count; n += 1) tables.log.removeSync(numberKey(state.logHead - n));
      const logHead = state.logHead - count + 1;
      tables.log.putSync(numberKey(logHead), `${state.logLastAt}|1|{"marker":"${marker}"}`);
      writeState(tables, { ...state, logHead });
    });

  it("reports `lost` if the same position holds another entry, before it is delivered", async () => {
    const [kept, lost] = [await put(store), await put(store)];
    await told.until(lost.marker);
    await replaceLast(1, "other");
    await told.until("other");
    expect(told.all).toEqual([kept.marker, lost.marker, "lost", kept.marker, "other"]);
    await expect.poll(() => follower.following, soon).toBe(true);
  });

  it("reports `lost` if the file is older, and if it has grown since", async () => {
    const all = [await put(store), await put(store), await put(store)];
    const [first, second, third] = all.map(({ marker }) => marker);
    await told.until(third ?? "");
    await replaceLast(2, "other");
    await told.until("other");
    expect(told.all).toEqual([first, second, third, "lost", first, "other"]);
  });

  it("reports `lost` for what was committed and not delivered", async () => {
    const { marker } = await put(store);
    await told.until(marker);
    told.refuses = true;
    await put(store);
    await put(store);
    await replaceLast(2, "other");
    told.refuses = false;
    await told.until("other");
    expect(told.all).toEqual([marker, "lost", marker, "other"]);
  });

  it("reports `trimmed` if the log was trimmed past what was delivered", async () => {
    const { marker } = await put(store);
    await told.until(marker);
    told.refuses = true;
    const later: string[] = [];
    for (let n = 0; n < 12; n += 1) later.push((await put(store)).marker);
    const file = await StoreFile.open(folder.path);
    const left = () => [...file.latest.log.getKeys()].length;
    await expect.poll(left, soon).toBe(5);
    await file.close();
    told.refuses = false;
    await told.until(later.at(-1) ?? "");
    // Once for each trim of the log, which may have happened during the delivery.
    expect([...new Set(told.all)]).toEqual([marker, "trimmed", ...later.slice(-5)]);
  });
});
