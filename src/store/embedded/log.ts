import type { JsonObject, LogEntry, LogPosition } from "../../auth/store.ts";
import { DamageError } from "./damage.ts";
import { readState, type StoreState } from "./state.ts";
import { keyNumber, numberKey, type Tables } from "./tables.ts";

/** The log is trimmed past either bound, oldest first. `ageMs` is the default for `logKeptMs`. */
export const logBounds = { ageMs: 48 * 3_600_000, entries: 200_000 } as const;

/** 16 digits, so positions compare as text. */
export function positionOf(sequence: number): LogPosition {
  return String(sequence).padStart(16, "0");
}

/** Below 0 when `a` came before `b`. */
export function comparePositions(a: LogPosition, b: LogPosition): number {
  return Number(a) - Number(b);
}

/** Call inside a transaction only. Times never fall: if the clock was set back, the last time is written again. */
export function appendEvents(
  tables: Tables,
  state: StoreState,
  events: readonly string[],
  now: number,
): { readonly state: StoreState; readonly positions: readonly LogPosition[] } {
  if (events.length === 0) return { state, positions: [] };
  const at = Math.max(now, state.logLastAt);
  const positions = events.map((json, offset) => {
    const sequence = state.logHead + 1 + offset;
    tables.log.putSync(numberKey(sequence), `${at}|${state.commits}|${json}`);
    return positionOf(sequence);
  });
  return { state: { ...state, logHead: state.logHead + events.length, logLastAt: at }, positions };
}

/** Entries after `sequence`, at most `limit`. */
export function readEntries(tables: Tables, sequence: number, limit: number): readonly LogEntry[] {
  const range = tables.log.getRange({ start: numberKey(sequence + 1), limit });
  return [...range].map(({ key, value }) => parseEntry(keyNumber(key), value));
}

function parseEntry(sequence: number, text: string): LogEntry {
  const first = text.indexOf("|");
  const second = text.indexOf("|", first + 1);
  return {
    position: positionOf(sequence),
    at: Number(text.slice(0, first)),
    version: Number(text.slice(first + 1, second)),
    event: eventOf(text.slice(second + 1)),
  };
}

function eventOf(json: string): JsonObject {
  try {
    return JSON.parse(json) as JsonObject;
  } catch {
    throw new DamageError("an entry of its log cannot be read");
  }
}

/** The whole entry as text; undefined if it was trimmed or never existed. */
export function entryText(tables: Tables, sequence: number): string | undefined {
  return tables.log.get(numberKey(sequence));
}

/** Sequence number of the oldest entry; one past the head if there is none. */
export function oldestSequence(tables: Tables): number {
  const [oldest] = tables.log.getKeys({ limit: 1 });
  return oldest === undefined ? readState(tables).logHead + 1 : keyNumber(oldest);
}

function timeOf(text: string): number {
  return Number(text.slice(0, text.indexOf("|")));
}

/** The position from which everything with `at >= since` is read, and how far back the log really reaches. */
export function startOf(tables: Tables, since: number): { readonly after: number; readonly since: number } {
  const state = readState(tables);
  let low = oldestSequence(tables);
  let high = state.logHead + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const text = tables.log.get(numberKey(middle));
    if (text !== undefined && timeOf(text) >= since) high = middle;
    else low = middle + 1;
  }
  const trimmedInside = state.logTrimmedAt >= since && state.logTrimmedAt > 0;
  return { after: low - 1, since: trimmedInside ? state.logTrimmedAt + 1 : since };
}

/** True when `trimLog` would remove something. */
export function logOverflows(tables: Tables, now: number, bounds: LogBounds): boolean {
  const [oldest] = tables.log.getRange({ limit: 1 });
  return oldest !== undefined && overflows(oldest, readState(tables), now, bounds);
}

export interface LogBounds {
  readonly ageMs: number;
  readonly entries: number;
}

function overflows(
  entry: { readonly key: Buffer; readonly value: string },
  state: StoreState,
  now: number,
  bounds: LogBounds,
): boolean {
  return keyNumber(entry.key) <= state.logHead - bounds.entries || timeOf(entry.value) < now - bounds.ageMs;
}

/** Call inside a transaction only. Removes at most `limit` entries. The caller must write the returned state. */
export function trimLog(
  tables: Tables,
  state: StoreState,
  now: number,
  options: { readonly bounds: LogBounds; readonly limit: number },
): StoreState {
  let trimmedAt = state.logTrimmedAt;
  for (const entry of [...tables.log.getRange({ limit: options.limit })]) {
    if (!overflows(entry, state, now, options.bounds)) break;
    tables.log.removeSync(entry.key);
    trimmedAt = timeOf(entry.value);
  }
  return { ...state, logTrimmedAt: trimmedAt };
}
