import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {
  Durability,
  IndexKey,
  LogEntry,
  LogFollower,
  RecordKey,
  Step,
  Store,
  StoredRecord,
} from "../../src/auth/store.ts";
import { readRecord } from "../../src/auth/store.ts";
import { stretched } from "../support/machine-share.ts";
import { revocationFacts } from "./store-revocation.ts";

/** What a suite opens for the contract. All tests share one backend, so every test makes its own names. */
export interface StoreBackend {
  readonly store: Store;
  /** Another instance on the same data (capability `shared`). */
  another(): Promise<Store>;
  /** Restarts the backend, and resolves to the store afterwards (capability `restarts`). */
  restart(): Promise<Store>;
  /** Makes the log like an older copy: without its last entry. */
  loseLast(): Promise<void>;
  dispose(): Promise<void>;
}

export interface StoreContract {
  readonly name: string;
  readonly create: () => Promise<StoreBackend>;
  readonly capabilities: { readonly shared: boolean; readonly restarts: boolean };
  /** The durability of a `durable` commit. */
  readonly durability: Durability;
  readonly skip?: readonly { readonly test: string; readonly reason: string }[];
}

export const recordName = (kind = "test") => `${kind}:${randomBytes(16).toString("hex")}` as RecordKey;
export const indexName = () => `test-index:${randomBytes(16).toString("hex")}` as IndexKey;

/** Collects what a follower delivers; `until` resolves once `enough` holds. */
export class Collector {
  readonly entries: LogEntry[] = [];
  #waiting: { readonly enough: (entries: readonly LogEntry[]) => boolean; readonly resolve: () => void }[] =
    [];

  readonly listener = (entries: readonly LogEntry[]): void => {
    this.entries.push(...entries);
    for (const waiter of this.#waiting) if (waiter.enough(this.entries)) waiter.resolve();
  };

  until(enough: (entries: readonly LogEntry[]) => boolean, deadlineMs = 60_000): Promise<void> {
    if (enough(this.entries)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not delivered within ${deadlineMs} ms: ${JSON.stringify(this.entries)}`)),
        deadlineMs,
      );
      this.#waiting.push({
        enough,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      });
    });
  }

  untilEvent(marker: string): Promise<void> {
    return this.until((entries) => entries.some((entry) => entry.event.marker === marker));
  }

  markers(): readonly unknown[] {
    return this.entries.map((entry) => entry.event.marker);
  }
}

export async function committed(store: Store, step: Step) {
  const outcome = await store.commit(step);
  if (!outcome.ok) throw new Error(`conflict on ${outcome.conflict}`);
  return outcome;
}

const mark = () => randomBytes(8).toString("hex");

export function storeContract(contract: StoreContract): void {
  const { name, create, capabilities, durability, skip = [] } = contract;
  const unknownSkips = new Set(skip.map((entry) => entry.test));
  const fact = (text: string, run: () => Promise<void>) => {
    const skipped = skip.find((entry) => entry.test === text);
    unknownSkips.delete(text);
    if (skipped) it.skip(`${text} (${skipped.reason})`, run);
    else it(text, run);
  };

  describe(`store contract: ${name}`, () => {
    let backend: StoreBackend;
    let store: Store;
    const followers: LogFollower[] = [];
    const follow = (on: Store, since: number) => {
      const collector = new Collector();
      const follower = on.follow(since, collector.listener);
      followers.push(follower);
      return { collector, follower };
    };

    beforeAll(async () => {
      backend = await create();
      store = backend.store;
    });
    afterAll(async () => {
      for (const follower of followers) await follower.stop();
      await backend?.dispose();
    });

    describe("records", () => {
      fact("reads what was put, in the order of the keys, and undefined for missing records", async () => {
        const [a, b] = [recordName(), recordName()];
        const { version } = await committed(store, {
          put: [
            { key: a, value: { n: 1 } },
            { key: b, value: { n: 2 } },
          ],
        });
        expect(await store.get([b, recordName(), a, b])).toEqual([
          { version, value: { n: 2 } },
          undefined,
          { version, value: { n: 1 } },
          { version, value: { n: 2 } },
        ]);
        expect(await store.get([])).toEqual([]);
      });

      fact("returns values unchanged, whatever characters they contain", async () => {
        const value = {
          "a|b": "1|2|{gh}",
          quotes: "\"'`\\/",
          control: "\u0000\u0001\t\r\n\u2028",
          emoji: "👩‍👩‍👧 ÄÖ 漢字 \ud800",
          __proto__x: "*?[a]",
          numbers: [0, -1, 1.5, 9_007_199_254_740_991, 1e300, 0.1],
          nested: { empty: {}, list: [[], {}], none: null, no: false },
          big: "x".repeat(100_000),
        };
        const key = recordName();
        await committed(store, { put: [{ key, value }], log: [{ marker: "odd", value }] });
        expect((await readRecord(store, key))?.value).toEqual(value);
      });

      fact("leaves out members that are undefined, as JSON does", async () => {
        const key = recordName();
        await committed(store, { put: [{ key, value: { kept: 1, gone: undefined } }] });
        expect(Object.keys((await readRecord(store, key))?.value ?? {})).toEqual(["kept"]);
      });

      fact("removes records, and removing a missing one is no error", async () => {
        const key = recordName();
        await committed(store, { put: [{ key, value: {} }] });
        await committed(store, { remove: [key, recordName()] });
        expect(await readRecord(store, key)).toBeUndefined();
      });

      fact("gives rising versions, also across removal and re-creation", async () => {
        const key = recordName();
        const first = await committed(store, { put: [{ key, value: { n: 1 } }] });
        const second = await committed(store, { put: [{ key, value: { n: 2 } }] });
        const third = await committed(store, { remove: [key] });
        const fourth = await committed(store, { check: [{ key, version: 0 }], put: [{ key, value: {} }] });
        const versions = [first, second, third, fourth].map((outcome) => outcome.version);
        expect(versions).toEqual([...versions].sort((x, y) => x - y));
        expect(new Set(versions).size).toBe(4);
        expect((await readRecord(store, key))?.version).toBe(fourth.version);
      });

      fact("removes a record after expiresAt, and keeps one that was written again without it", async () => {
        const soon = Date.now() + 150;
        const [gone, kept, later] = [recordName(), recordName(), recordName()];
        await committed(store, {
          put: [gone, kept].map((key) => ({ key, value: {}, expiresAt: soon })),
        });
        await committed(store, {
          put: [
            { key: kept, value: {} },
            { key: later, value: {}, expiresAt: Date.now() + 60_000 },
          ],
        });
        await expect
          .poll(() => store.get([gone, kept, later]), { timeout: 5_000 })
          .toMatchObject([undefined, {}, {}]);
        expect((await committed(store, { check: [{ key: gone, version: 0 }] })).ok).toBe(true);
      });

      fact("accepts a record that is expired already and does not keep it", async () => {
        const key = recordName();
        await committed(store, { put: [{ key, value: {}, expiresAt: 1 }] });
        await expect.poll(() => readRecord(store, key)).toBeUndefined();
      });
    });

    describe("checks", () => {
      fact("compares every check, and changes nothing when one fails", async () => {
        const [present, absent] = [recordName(), recordName()];
        const [put, raised, index] = [recordName(), recordName(), indexName()];
        const { version } = await committed(store, {
          put: [{ key: present, value: { n: 1 } }],
          link: [{ index, member: "before" }],
        });
        const marker = mark();
        const { collector, follower } = follow(store, Date.now() - 60_000);
        const outcome = await store.commit({
          check: [
            { key: present, version },
            { key: absent, version: 3 },
          ],
          put: [
            { key: put, value: {} },
            { key: present, value: { n: 2 } },
          ],
          remove: [present],
          link: [{ index, member: "added" }],
          unlink: [{ index, member: "before" }],
          bumpEpochs: [raised],
          log: [{ marker }],
        });
        expect(outcome).toEqual({ ok: false, conflict: absent });
        expect(await store.get([present, put, raised])).toEqual([
          { version, value: { n: 1 } },
          undefined,
          undefined,
        ]);
        expect(await store.list(index, { limit: 10 })).toEqual(["before"]);
        const end = mark();
        await committed(store, { log: [{ marker: end }] });
        await collector.untilEvent(end);
        expect(collector.markers()).not.toContain(marker);
        await follower.stop();
      });

      fact("names the first check that fails", async () => {
        const [first, second] = [recordName(), recordName()];
        const check = [first, second].map((key) => ({ key, version: 7 }));
        expect(await store.commit({ check })).toEqual({ ok: false, conflict: first });
      });

      fact("version 0 means that the record does not exist", async () => {
        const key = recordName();
        const create = () => store.commit({ check: [{ key, version: 0 }], put: [{ key, value: {} }] });
        expect((await create()).ok).toBe(true);
        expect(await create()).toEqual({ ok: false, conflict: key });
      });

      fact("of 50 parallel compare-and-sets one wins", async () => {
        const key = recordName();
        const { version } = await committed(store, { put: [{ key, value: { by: -1 } }] });
        const outcomes = await Promise.all(
          Array.from({ length: 50 }, (_, by) =>
            store.commit({
              check: [{ key, version }],
              put: [{ key, value: { by } }],
              log: [{ marker: `cas:${key}` }],
            }),
          ),
        );
        const winners = outcomes.flatMap((outcome, by) => (outcome.ok ? [{ by, ...outcome }] : []));
        expect(winners).toHaveLength(1);
        const expected = { version: winners[0]?.version, value: { by: winners[0]?.by } };
        expect(await readRecord(store, key)).toEqual(expected);
      });

      fact("of 50 parallel creations one wins", async () => {
        const key = recordName();
        const outcomes = await Promise.all(
          Array.from({ length: 50 }, (_, by) =>
            store.commit({ check: [{ key, version: 0 }], put: [{ key, value: { by } }] }),
          ),
        );
        expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(1);
      });

      fact("no update is lost when 20 writers retry on conflict", async () => {
        const key = recordName();
        await committed(store, { put: [{ key, value: { count: 0 } }] });
        const increment = async (): Promise<void> => {
          const record = (await readRecord(store, key)) as StoredRecord;
          const value = { count: Number(record.value.count) + 1 };
          const outcome = await store.commit({
            check: [{ key, version: record.version }],
            put: [{ key, value }],
          });
          if (!outcome.ok) await increment();
        };
        await Promise.all(Array.from({ length: 20 }, increment));
        expect((await readRecord(store, key))?.value).toEqual({ count: 20 });
      });
    });

    describe("one step", () => {
      fact("applies put, remove, link, unlink, bump and log together, with one version", async () => {
        const [old, made, epoch, index] = [recordName(), recordName(), recordName("epoch"), indexName()];
        await committed(store, {
          put: [{ key: old, value: {} }],
          link: [
            { index, member: "a" },
            { index, member: "b" },
          ],
        });
        const marker = mark();
        const { collector, follower } = follow(store, Date.now() - 60_000);
        const outcome = await committed(store, {
          put: [{ key: made, value: { x: 1 } }],
          remove: [old],
          link: [{ index, member: "c" }],
          unlink: [{ index, member: "a" }],
          bumpEpochs: [epoch],
          log: [
            { marker, n: 1 },
            { marker, n: 2 },
          ],
        });
        const { version } = outcome;
        expect(await store.get([old, made, epoch])).toEqual([
          undefined,
          { version, value: { x: 1 } },
          { version, value: {} },
        ]);
        expect(await store.list(index, { limit: 10 })).toEqual(["b", "c"]);
        expect(outcome.positions).toHaveLength(2);
        const mine = () => collector.entries.filter((entry) => entry.event.marker === marker);
        await collector.until(() => mine().length === 2);
        expect(mine()).toMatchObject([
          { version, event: { n: 1 }, position: outcome.positions[0] },
          { version, event: { n: 2 }, position: outcome.positions[1] },
        ]);
        await follower.stop();
      });

      fact("applies the fields in their order: a record that is put and removed does not exist", async () => {
        const key = recordName();
        const raised = recordName();
        const outcome = await committed(store, {
          put: [
            { key, value: {} },
            { key: raised, value: { n: 1 } },
          ],
          remove: [key, raised],
          bumpEpochs: [raised],
        });
        expect(await store.get([key, raised])).toEqual([undefined, { version: outcome.version, value: {} }]);
      });

      fact(
        "a bump creates a record, keeps the value of an existing one, and its version never falls",
        async () => {
          const [epoch, valued] = [recordName("epoch"), recordName("epoch")];
          await committed(store, { put: [{ key: valued, value: { kept: true } }] });
          const first = await committed(store, { bumpEpochs: [epoch, valued] });
          const second = await committed(store, { bumpEpochs: [epoch] });
          expect(second.version).toBeGreaterThan(first.version);
          expect(await store.get([epoch, valued])).toEqual([
            { version: second.version, value: {} },
            { version: first.version, value: { kept: true } },
          ]);
        },
      );

      fact("refuses keys and values that no store can hold, before anything is written", async () => {
        const key = recordName();
        const bad: Step[] = [
          { put: [{ key: "" as RecordKey, value: {} }] },
          { put: [{ key: `k:${"x".repeat(600)}` as RecordKey, value: {} }] },
          { put: [{ key: "k:\0" as RecordKey, value: {} }] },
          { link: [{ index: indexName(), member: "" }] },
          { put: [{ key: recordName(), value: { big: "x".repeat(1_100_000) } }] },
          { put: [{ key: recordName(), value: {}, expiresAt: Number.NaN }] },
        ];
        for (const step of bad) {
          const put = [{ key, value: {} }, ...(step.put ?? [])];
          await expect(store.commit({ ...step, put })).rejects.toThrow(RangeError);
        }
        expect(await readRecord(store, key)).toBeUndefined();
      });
    });

    describe("indexes", () => {
      fact("lists in byte order, page by page, each member once", async () => {
        const index = indexName();
        const members = [
          "a",
          "b",
          "B",
          "ä",
          "z",
          "10",
          "9",
          "a|b",
          "{gh}",
          "日本",
          "👍",
          "a b",
          "(",
          "[",
          "+",
          "-",
        ];
        for (const member of members) await committed(store, { link: [{ index, member }] });
        await committed(store, { link: members.map((member) => ({ index, member })) });
        const ordered = [...members].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
        expect(await store.list(index, { limit: 1000 })).toEqual(ordered);
        const paged: string[] = [];
        for (;;) {
          const after = paged.at(-1);
          const page = await store.list(index, { limit: 3, after });
          expect(page.length).toBeLessThanOrEqual(3);
          paged.push(...page);
          if (page.length < 3) break;
        }
        expect(paged).toEqual(ordered);
      });

      fact("continues a page after a member that was removed", async () => {
        const index = indexName();
        await committed(store, { link: ["a", "b", "c"].map((member) => ({ index, member })) });
        await committed(store, { unlink: [{ index, member: "b" }] });
        expect(await store.list(index, { after: "b", limit: 10 })).toEqual(["c"]);
        expect(await store.list(index, { after: "c", limit: 10 })).toEqual([]);
      });

      fact("separates indexes whose names have a common prefix", async () => {
        const index = indexName();
        const longer = `${index}:x` as IndexKey;
        await committed(store, {
          link: [
            { index, member: "short" },
            { index: longer, member: "long" },
          ],
        });
        expect(await store.list(index, { limit: 10 })).toEqual(["short"]);
        expect(await store.list(longer, { limit: 10 })).toEqual(["long"]);
      });

      fact("tells whether an index has more than a number of members", async () => {
        const index = indexName();
        const after = `${index}:x` as IndexKey;
        await committed(store, {
          link: ["a", "b", "c"].map((member) => ({ index, member })),
        });
        await committed(store, { link: ["d", "e"].map((member) => ({ index: after, member })) });
        const answers = async (of: IndexKey) =>
          await Promise.all([0, 1, 2, 3, 4, 2_000_000].map((count) => store.hasMoreThan(of, count)));
        expect(await answers(index)).toEqual([true, true, true, false, false, false]);
        expect(await answers(after)).toEqual([true, true, false, false, false, false]);
        await committed(store, { unlink: [{ index, member: "b" }] });
        expect(await answers(index)).toEqual([true, true, false, false, false, false]);
        expect(await answers(indexName())).toEqual([false, false, false, false, false, false]);
        for (const count of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
          await expect(store.hasMoreThan(index, count)).rejects.toThrow(RangeError);
        }
      });

      fact(
        "has no members if nothing was linked, and refuses a page size that is not 1 to 1000",
        async () => {
          expect(await store.list(indexName(), { limit: 1 })).toEqual([]);
          for (const limit of [0, -1, 1001, 1.5, Number.NaN]) {
            await expect(store.list(indexName(), { limit })).rejects.toThrow(RangeError);
          }
        },
      );
    });

    describe("log", () => {
      fact("delivers in order to every follower: entries since `since`, then new ones", async () => {
        const run = mark();
        const early = follow(store, Date.now() - 60_000);
        for (let n = 0; n < 5; n += 1) await committed(store, { log: [{ run, n, marker: `${run}:${n}` }] });
        const late = follow(store, Date.now() - 60_000);
        await late.follower.caughtUp;
        const numbers = ({ entries }: Collector) =>
          entries.filter((entry) => entry.event.run === run).map((entry) => entry.event.n);
        expect(numbers(late.collector)).toEqual([0, 1, 2, 3, 4]);
        await Promise.all(
          [5, 6, 7, 8, 9].map((n) => committed(store, { log: [{ run, n, marker: `${run}:${n}` }] })),
        );
        for (const { collector } of [early, late]) {
          await collector.until(() => numbers(collector).length === 10);
          expect(numbers(collector).slice(0, 5)).toEqual([0, 1, 2, 3, 4]);
          const versions = collector.entries.map((entry) => entry.version);
          expect(versions).toEqual([...versions].sort((x, y) => x - y));
          const times = collector.entries.map((entry) => entry.at);
          expect(times).toEqual([...times].sort((x, y) => x - y));
        }
        expect(early.collector.entries.slice(-5)).toEqual(late.collector.entries.slice(-5));
        await early.follower.stop();
        await late.follower.stop();
      });

      fact("leaves out what is older than `since`", async () => {
        const [old, young] = [mark(), mark()];
        const { collector: all } = follow(store, Date.now() - 60_000);
        await committed(store, { log: [{ marker: old }] });
        await all.untilEvent(old);
        const oldAt = all.entries.find((entry) => entry.event.marker === old)?.at ?? 0;
        // The store's clock must advance, or both are in the same millisecond.
        await expect
          .poll(async () => {
            const probe = mark();
            await committed(store, { log: [{ marker: probe }] });
            await all.untilEvent(probe);
            return all.entries.at(-1)?.at ?? 0;
          })
          .toBeGreaterThan(oldAt);
        await committed(store, { log: [{ marker: young }] });
        const { collector, follower } = follow(store, oldAt + 1);
        const { since } = await follower.caughtUp;
        expect(since).toBe(oldAt + 1);
        expect(collector.markers()).not.toContain(old);
        expect(collector.markers()).toContain(young);
        expect(collector.entries.every((entry) => entry.at > oldAt)).toBe(true);
      });

      fact("is `following` until it is stopped", async () => {
        const { follower, collector } = follow(store, Date.now());
        await follower.caughtUp;
        expect(follower.following).toBe(true);
        await follower.stop();
        expect(follower.following).toBe(false);
        const marker = mark();
        const { collector: other } = follow(store, Date.now() - 1_000);
        await committed(store, { log: [{ marker }] });
        await other.untilEvent(marker);
        expect(collector.markers()).not.toContain(marker);
      });

      fact(
        "a listener that throws once gets the same entries again, and the others are not affected",
        async () => {
          let thrown = 0;
          const collector = new Collector();
          const follower = store.follow(Date.now() - 1_000, (entries) => {
            if (thrown === 0) {
              thrown += 1;
              throw new Error("listener");
            }
            collector.listener(entries);
          });
          followers.push(follower);
          const marker = mark();
          const other = follow(store, Date.now() - 1_000);
          await committed(store, { log: [{ marker }] });
          await other.collector.untilEvent(marker);
          await collector.untilEvent(marker);
          expect(thrown).toBe(1);
        },
      );

      fact("delivers a backlog of thousands in order", async () => {
        const run = mark();
        for (let part = 0; part < 4; part += 1) {
          await committed(store, {
            log: Array.from({ length: 500 }, (_, n) => ({ run, n: part * 500 + n })),
          });
        }
        const { collector, follower } = follow(store, Date.now() - 60_000);
        await follower.caughtUp;
        const mine = collector.entries.filter((entry) => entry.event.run === run);
        expect(mine.map((entry) => entry.event.n)).toEqual(Array.from({ length: 2000 }, (_, n) => n));
        await follower.stop();
      });
    });

    if (capabilities.shared) {
      describe("several instances", () => {
        fact("see each other's writes at once, and each other's log within a second", async () => {
          const other = await backend.another();
          try {
            const [key, marker] = [recordName(), mark()];
            const { collector, follower } = follow(store, Date.now() - 1_000);
            await follower.caughtUp;
            await committed(other, { put: [{ key, value: { from: "other" } }], log: [{ marker }] });
            const written = performance.now();
            expect((await readRecord(store, key))?.value).toEqual({ from: "other" });
            await collector.untilEvent(marker);
            expect(performance.now() - written).toBeLessThan(stretched(1_000));
            await follower.stop();
          } finally {
            await other.close();
          }
        });

        fact("of 50 parallel compare-and-sets on two instances one wins", async () => {
          const other = await backend.another();
          try {
            const key = recordName();
            const outcomes = await Promise.all(
              Array.from({ length: 50 }, (_, by) =>
                (by % 2 ? store : other).commit({
                  check: [{ key, version: 0 }],
                  put: [{ key, value: { by } }],
                }),
              ),
            );
            expect(outcomes.filter((outcome) => outcome.ok)).toHaveLength(1);
          } finally {
            await other.close();
          }
        });
      });
    }

    if (capabilities.restarts) {
      describe("restart", () => {
        fact("keeps records, indexes, versions and log", async () => {
          const [key, index, marker] = [recordName(), indexName(), mark()];
          const { version } = await committed(store, {
            put: [{ key, value: { kept: true } }],
            link: [{ index, member: "kept" }],
            log: [{ marker }],
          });
          store = await backend.restart();
          expect(await readRecord(store, key)).toEqual({ version, value: { kept: true } });
          expect(await store.list(index, { limit: 10 })).toEqual(["kept"]);
          const { collector, follower } = follow(store, Date.now() - 60_000);
          await follower.caughtUp;
          expect(collector.markers()).toContain(marker);
          expect((await committed(store, { bumpEpochs: [key] })).version).toBeGreaterThan(version);
          await follower.stop();
        });
      });
    }

    revocationFacts({ fact, store: () => store, backend: () => backend, durability });

    describe("life", () => {
      fact("is healthy and describes itself without a secret", async () => {
        const health = await store.health();
        expect(health.ok, health.detail).toBe(true);
        expect(health.latencyMs).toBeGreaterThanOrEqual(0);
        expect(health.detail).not.toContain("secret");
      });

      fact("returns its server's time in whole milliseconds, if it has a server", async () => {
        const before = Date.now();
        const time = await store.time();
        expect(time === undefined).toBe(store.kind === "embedded");
        // Both clocks are of this machine.
        expect(time ?? before).toBeGreaterThanOrEqual(before);
        expect(time ?? before).toBeLessThanOrEqual(Date.now());
        expect(Number.isInteger(time ?? before)).toBe(true);
      });

      fact("rejects calls after close with `unavailable`, and can be closed twice", async () => {
        const closing = capabilities.shared ? await backend.another() : store;
        const { follower } = follow(closing, Date.now());
        await closing.close();
        await closing.close();
        const gone = { code: "unavailable" };
        await expect(closing.get([recordName()])).rejects.toMatchObject(gone);
        await expect(closing.list(indexName(), { limit: 1 })).rejects.toMatchObject(gone);
        await expect(closing.commit({ bumpEpochs: [recordName()] })).rejects.toMatchObject(gone);
        expect(follower.following).toBe(false);
        expect((await closing.health()).ok).toBe(false);
        await expect(closing.follow(0, () => undefined).caughtUp).rejects.toMatchObject(gone);
      });
    });

    it("skips no test that does not exist", () => {
      expect([...unknownSkips]).toEqual([]);
    });
  });
}
