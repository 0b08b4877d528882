import { recordKeys } from "../record-keys.ts";
import { readRecord, type Store } from "../store.ts";
import type { QuorumClock } from "./quorum-clock.ts";

/** Feeds a clock with the store's time, and with a time that outlives the process. */
export interface ClockSync {
  /** Checks the clock now; call it every second. Never rejects: without a store the check uses what is known. */
  check(): Promise<void>;
  /** Saves the time for the next process to start with. Never rejects. */
  stop(): Promise<void>;
}

type ClockStore = Pick<Store, "get" | "commit" | "time">;

const sampleEveryMs = 5_000;
/** How often the time is saved. */
const saveEveryMs = 60_000;

/** Starts the checks of the clock. Rejects with `unavailable`. */
export async function startClockSync(store: ClockStore, clock: QuorumClock): Promise<ClockSync> {
  const saved = await readSaved(store);
  clock.start(saved?.at, await sampleStoreTime(store, clock));
  let sampledAt = clock.monotonic();
  let savedAt = Number.NEGATIVE_INFINITY;

  const sample = async (): Promise<number | undefined> => {
    if (clock.disagreement === undefined && clock.monotonic() - sampledAt < sampleEveryMs) return undefined;
    sampledAt = clock.monotonic();
    return await sampleStoreTime(store, clock).catch(() => undefined);
  };
  return {
    async check() {
      clock.check(await sample());
      const time = clock.certainlyPast;
      if (time === undefined || clock.monotonic() - savedAt < saveEveryMs) return;
      savedAt = clock.monotonic();
      // On failure the next save follows a minute later.
      await save(store, time).catch(() => undefined);
    },
    async stop() {
      const time = clock.certainlyPast;
      if (time !== undefined) await save(store, time, 1_000).catch(() => undefined);
    },
  };
}

/** The sample's error is up to half of the round trip. */
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

/** Other nodes save the time too. On a conflict another node has just saved it. */
async function save(store: ClockStore, time: number, grainMs = saveEveryMs / 2): Promise<void> {
  const present = await readSaved(store);
  const isFresh = present !== undefined && Math.abs(time - present.at) < grainMs;
  if (isFresh) return;
  const check = [{ key: recordKeys.clock, version: present?.version ?? 0 }];
  await store.commit({ check, put: [{ key: recordKeys.clock, value: { at: time } }] });
}
