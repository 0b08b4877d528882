import { type LogBounds, logOverflows, trimLog } from "./log.ts";
import { hasExpired, sweepRecords } from "./records.ts";
import { readState, writeState } from "./state.ts";
import type { Tables } from "./tables.ts";

/** Small, so that a sweep delays a commit only a little. */
const batch = 200;

export function hasGarbage(tables: Tables, now: number, bounds: LogBounds): boolean {
  return hasExpired(tables, now) || logOverflows(tables, now, bounds);
}

/** Call inside a transaction only. Removes one small batch of expired records and old log entries. */
export function sweep(tables: Tables, now: number, bounds: LogBounds): void {
  sweepRecords(tables, now, batch);
  writeState(tables, trimLog(tables, readState(tables), now, { bounds, limit: batch }));
}
