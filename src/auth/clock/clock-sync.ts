import { recordKeys } from "../record-keys.ts";
import { readRecord, type Store } from "../store.ts";
import type { QuorumClock } from "./quorum-clock.ts";

/** What a clock is judged by: the store's time, and a time that outlives the process. */
export interface ClockSync {
  /** Looks now; call it every second. Never rejects: without a store the clock is judged by what is known. */
  look(): Promise<void>;
  /** The time at which the process ended is what the next one begins with. Never rejects. */
  end(): Promise<void>;
}

type ClockStore = Pick<Store, "get" | "commit" | "time">;

const sampleEveryMs = 5_000;
/** A time is written down again when it is so old. */
const rememberEveryMs = 60_000;

/** Begins to judge the clock. Rejects with `unavailable`. */
export async function startClockSync(store: ClockStore, clock: QuorumClock): Promise<ClockSync> {
  const remembered = await readRemembered(store);
  clock.begin(remembered?.at, await sampleOf(store, clock));
  let sampledAt = clock.monotonic();
  let rememberedAt = Number.NEGATIVE_INFINITY;

  const sample = async (): Promise<number | undefined> => {
    if (clock.doubt === undefined && clock.monotonic() - sampledAt < sampleEveryMs) return undefined;
    sampledAt = clock.monotonic();
    return await sampleOf(store, clock).catch(() => undefined);
  };
  return {
    async look() {
      clock.look(await sample());
      const past = clock.memorable;
      if (past === undefined || clock.monotonic() - rememberedAt < rememberEveryMs) return;
      rememberedAt = clock.monotonic();
      // At the next turn a minute later.
      await remember(store, past).catch(() => undefined);
    },
    async end() {
      const past = clock.memorable;
      if (past !== undefined) await remember(store, past, 1_000).catch(() => undefined);
    },
  };
}

/** Half of the time that the answer took is its error. */
async function sampleOf(store: ClockStore, clock: QuorumClock): Promise<number | undefined> {
  const before = clock.monotonic();
  const time = await store.time();
  return time === undefined ? undefined : time + (clock.monotonic() - before) / 2;
}

async function readRemembered(store: ClockStore) {
  const record = await readRecord(store, recordKeys.clock);
  const at = record?.value.at;
  return record !== undefined && typeof at === "number" ? { at, version: record.version } : undefined;
}

/** Other nodes remember the time too: the one whose commit fails leaves it to them. */
async function remember(store: ClockStore, past: number, grainMs = rememberEveryMs / 2): Promise<void> {
  const present = await readRemembered(store);
  const isFresh = present !== undefined && Math.abs(past - present.at) < grainMs;
  if (isFresh) return;
  const check = [{ key: recordKeys.clock, version: present?.version ?? 0 }];
  await store.commit({ check, put: [{ key: recordKeys.clock, value: { at: past } }] });
}
