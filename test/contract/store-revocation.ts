import { randomBytes } from "node:crypto";
import { describe, expect } from "vitest";

import type { Durability, LogBreak, Store } from "../../src/auth/store.ts";
import { readRecord } from "../../src/auth/store.ts";
import { Collector, committed, recordName, type StoreBackend } from "./store.ts";

const soon = { timeout: 5_000, interval: 20 };
const mark = () => randomBytes(8).toString("hex");

export interface RevocationFacts {
  readonly fact: (text: string, run: () => Promise<void>) => void;
  readonly store: () => Store;
  readonly backend: () => StoreBackend;
  /** The durability of a `durable` commit on this backend. */
  readonly durability: Durability;
}

/** What revocation depends on: epochs that only rise, a log that reports breaks, and true statements about both. */
export function revocationFacts({ fact, store, backend, durability }: RevocationFacts): void {
  const follow = (since: number) => {
    const collector = new Collector();
    const breaks: LogBreak[] = [];
    const follower = store().follow(since, collector.listener, (kind) => {
      breaks.push(kind);
      collector.listener([]);
    });
    return { collector, breaks, follower };
  };

  describe("versions", () => {
    fact("are whole microseconds of the store's clock, and no two are the same", async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 300 }, () => committed(store(), { bumpEpochs: [recordName("epoch")] })),
      );
      const versions = outcomes.map(({ version }) => version);
      expect(new Set(versions).size).toBe(300);
      for (const version of versions) {
        expect(Number.isSafeInteger(version)).toBe(true);
        // Both clocks are of this machine.
        expect(Math.abs(version / 1_000 - Date.now())).toBeLessThan(60_000);
      }
    });

    fact("rise from commit to commit, whichever instance commits", async () => {
      let last = 0;
      for (let n = 0; n < 50; n += 1) {
        const { version } = await committed(
          store(),
          n % 2 === 0 ? { bumpEpochs: [recordName()] } : { log: [{ n }] },
        );
        expect(version).toBeGreaterThan(last);
        last = version;
      }
    });
  });

  describe("raising to a version", () => {
    fact("creates a record with it, raises a lower one, and leaves a higher one", async () => {
      const [absent, below, above] = [recordName("epoch"), recordName("epoch"), recordName("epoch")];
      const first = await committed(store(), { put: [{ key: below, value: { kept: 1 } }] });
      const target = first.version + 7;
      const second = await committed(store(), { raiseEpochsTo: [{ key: above, version: target + 100 }] });
      const raiseEpochsTo = [absent, below, above].map((key) => ({ key, version: target }));
      const third = await committed(store(), { raiseEpochsTo });
      expect(await store().get([absent, below, above])).toEqual([
        { version: target, value: {} },
        { version: target, value: { kept: 1 } },
        { version: target + 100, value: {} },
      ]);
      expect(second.version).toBeGreaterThan(target + 100);
      expect(third.version).toBeGreaterThan(second.version);
    });

    fact("changes nothing the second time, and later versions continue from the raised one", async () => {
      const key = recordName("epoch");
      const { version } = await committed(store(), { bumpEpochs: [key] });
      await committed(store(), { raiseEpochsTo: [{ key, version }] });
      await committed(store(), { raiseEpochsTo: [{ key, version: version - 1 }] });
      expect((await readRecord(store(), key))?.version).toBe(version);
      const raised = await committed(store(), { bumpEpochs: [key] });
      expect(raised.version).toBeGreaterThan(version);
      expect((await readRecord(store(), key))?.version).toBe(raised.version);
    });

    fact("keeps large versions digit by digit", async () => {
      const { version } = await committed(store(), { bumpEpochs: [recordName("epoch")] });
      // A minute ahead: the next commit is above it, until the clock passes it.
      const odd = Math.ceil(version / 1e6) * 1e6 + 60_000_000 + 123_457;
      const key = recordName("epoch");
      const outcome = await committed(store(), { raiseEpochsTo: [{ key, version: odd }] });
      expect((await readRecord(store(), key))?.version).toBe(odd);
      expect(outcome.version).toBe(odd + 1);
    });

    fact("refuses a number that is no version, before anything is written", async () => {
      const key = recordName("epoch");
      for (const version of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 9_000_000_000_000_001]) {
        await expect(store().commit({ raiseEpochsTo: [{ key, version }] })).rejects.toThrow(RangeError);
      }
      expect(await readRecord(store(), key)).toBeUndefined();
    });

    fact("creates an expired record anew, as bumping does", async () => {
      const [raised, raisedTo] = [recordName(), recordName()];
      const expiresAt = Date.now() + 100;
      const value = { old: true };
      await committed(store(), { put: [raised, raisedTo].map((key) => ({ key, value, expiresAt })) });
      await expect.poll(() => store().get([raised, raisedTo]), soon).toEqual([undefined, undefined]);
      await committed(store(), { bumpEpochs: [raised], raiseEpochsTo: [{ key: raisedTo, version: 5 }] });
      expect(await store().get([raised, raisedTo])).toMatchObject([{ value: {} }, { version: 5, value: {} }]);
      expect((await readRecord(store(), raised))?.value).toEqual({});
    });

    fact("changes nothing if a check fails", async () => {
      const [key, checked] = [recordName("epoch"), recordName()];
      const step = { check: [{ key: checked, version: 1 }], raiseEpochsTo: [{ key, version: 5 }] };
      expect(await store().commit(step)).toEqual({ ok: false, conflict: checked });
      expect(await readRecord(store(), key)).toBeUndefined();
    });
  });

  describe("durability", () => {
    fact(`says ${durability} of a commit that waited for it`, async () => {
      const commit = async () =>
        (await committed(store(), { bumpEpochs: [recordName()], durable: true })).durability;
      await expect.poll(commit, { timeout: 10_000 }).toBe(durability);
    });
  });

  describe("positions", () => {
    fact("compare in the order of the log", async () => {
      const positions: string[] = [];
      for (let n = 0; n < 20; n += 1) {
        positions.push(...(await committed(store(), { log: [{ n }, { n }, { n }] })).positions);
      }
      for (const [at, position] of positions.entries()) {
        expect(store().comparePositions(position, position)).toBe(0);
        const next = positions[at + 1];
        if (next === undefined) continue;
        expect(store().comparePositions(position, next)).toBeLessThan(0);
        expect(store().comparePositions(next, position)).toBeGreaterThan(0);
      }
    });
  });

  describe("a follower of one log", () => {
    fact("continues after a restart, misses nothing, repeats nothing, and reports no break", async () => {
      const { collector, breaks, follower } = follow(Date.now() - 60_000);
      await follower.caughtUp;
      const run = mark();
      for (let n = 0; n < 10; n += 1) {
        if (n % 3 === 0) follower.restart();
        await committed(store(), { log: [{ run, marker: `${run}:${n}` }] });
      }
      await collector.untilEvent(`${run}:9`);
      const mine = collector.entries
        .filter((entry) => entry.event.run === run)
        .map((entry) => entry.event.marker);
      expect(mine).toEqual(Array.from({ length: 10 }, (_, n) => `${run}:${n}`));
      await expect.poll(() => follower.following, soon).toBe(true);
      await expect.poll(() => follower.readAgeMs(), soon).toBeLessThan(1_000);
      expect(breaks).toEqual([]);
      await follower.stop();
    });

    fact("reports `lost` before anything else if the log lost its last entry, and starts over", async () => {
      const [kept, lost, next] = [mark(), mark(), mark()];
      const { collector, breaks, follower } = follow(Date.now() - 60_000);
      for (const marker of [kept, lost]) {
        await committed(store(), { log: [{ marker }] });
        await collector.untilEvent(marker);
      }
      const before = collector.entries.length;
      await backend().loseLast();
      await expect.poll(() => breaks, soon).toEqual(["lost"]);
      await committed(store(), { log: [{ marker: next }] });
      await collector.untilEvent(next);
      const again = collector.entries.slice(before).map((entry) => entry.event.marker);
      expect(again).toContain(kept);
      expect(again).not.toContain(lost);
      expect(again.at(-1)).toBe(next);
      await expect.poll(() => follower.following, soon).toBe(true);
      expect(breaks).toEqual(["lost"]);
      await follower.stop();
    });

    fact("reports a break again if its listener threw", async () => {
      const marker = mark();
      const collector = new Collector();
      const told: LogBreak[] = [];
      const follower = store().follow(Date.now() - 60_000, collector.listener, (kind) => {
        told.push(kind);
        if (told.length === 1) throw new Error("listener");
      });
      await committed(store(), { log: [{ marker }] });
      await collector.untilEvent(marker);
      await backend().loseLast();
      await expect.poll(() => told, soon).toEqual(["lost", "lost"]);
      await expect.poll(() => follower.following, soon).toBe(true);
      await follower.stop();
    });
  });

  describe("the guarantee", () => {
    fact("is a bound or Infinity, with a text for each misconfigured setting", async () => {
      const { stalePrimaryWindowMs, detail, problems } = await store().guarantee();
      expect(stalePrimaryWindowMs).toBeGreaterThanOrEqual(0);
      expect(detail).not.toBe("");
      expect(problems.every((problem) => problem !== "")).toBe(true);
    });
  });
}
