import { recordKeys } from "../record-keys.ts";
import { readRecord, type Store } from "../store.ts";
import type { QuorumClock } from "./quorum-clock.ts";

/** What a clock is judged by: the store's time, and a time that outlives the process. */
export interface ClockSync {
  /** Looks now; call it every second. Never rejects: without a store the clock is judged by what is known. */
  check(): Promise<void>;
  /** The time at which the process ended is what the next one begins with. Never rejects. */
  stop(): Promise<void>;
}

type ClockStore = Pick<Store, "get" | "commit" | "time">;

const sampleEveryMs = 5_000;
/** A time is written down again when it is so old. */
const saveEveryMs = 60_000;

/** Begins to judge the clock. Rejects with `unavailable`. */
export async function startClockSync(store: ClockStore, clock: QuorumClock): Promise<ClockSync> {
  const remembered = await readSaved(store);
  clock.start(remembered?.at, await sampleStoreTime(store, clock));
  let sampledAt = clock.monotonic();
  let rememberedAt = Number.NEGATIVE_INFINITY;

  const sample = async (): Promise<number | undefined> => {
    if (clock.disagreement === undefined && clock.monotonic() - sampledAt < sampleEveryMs) return undefined;
    sampledAt = clock.monotonic();
    return await sampleStoreTime(store, clock).catch(() => undefined);
  };
  return {
    async check() {
      clock.check(await sample());
      const past = clock.certainlyPast;
      if (past === undefined || clock.monotonic() - rememberedAt < saveEveryMs) return;
      rememberedAt = clock.monotonic();
      // At the next turn a minute later.
      await save(store, past).catch(() => undefined);
    },
    async stop() {
      const past = clock.certainlyPast;
      if (past !== undefined) await save(store, past, 1_000).catch(() => undefined);
    },
  };
}

/** Half of the time that the answer took is its error. */
async function sampleStoreTime(store: ClockStore, clock: QuorumClock): Promise<number | undefined> {
  const before = clock.monotonic();
  const time = await store.time();
  return time === undefined ? undefined : time + (clock.monotonic() - before) / 2;
}

async function readSaved(store: ClockStore) {
  const record = await readRecord(store, recordKeys.clock);
  const at = record?.value.at;
  return record !== undefined && typeof at === "number" ? { at, version: record.version } : undefined;
}

/** Other nodes remember the time too: the one whose commit fails leaves it to them. */
async function save(store: ClockStore, past: number, grainMs = saveEveryMs / 2): Promise<void> {
  const present = await readSaved(store);
  const isFresh = present !== undefined && Math.abs(past - present.at) < grainMs;
  if (isFresh) return;
  const check = [{ key: recordKeys.clock, version: present?.version ?? 0 }];
  await store.commit({ check, put: [{ key: recordKeys.clock, value: { at: past } }] });
}
