import { storedJson } from "./damage.ts";
import type { Tables } from "./tables.ts";

/** What the store knows about itself, read and written in the transaction that changes it. */
export interface StoreState {
  /** Layout of the file. */
  readonly format: 1;
  /** Number of the last commit, see `StoredRecord.version`. */
  readonly commits: number;
  /** Sequence number of the last log entry; they have no gaps. */
  readonly logHead: number;
  /** `at` of the last log entry: the log's times never fall, also when the clock does. */
  readonly logLastAt: number;
  /** `at` of the newest entry that was trimmed; 0 when the log is whole. */
  readonly logTrimmedAt: number;
}

const stateKey = Buffer.from("state");
const empty: StoreState = { format: 1, commits: 0, logHead: 0, logLastAt: 0, logTrimmedAt: 0 };

export function readState(tables: Tables): StoreState {
  const text = tables.state.get(stateKey);
  if (text === undefined) return empty;
  const state = storedJson(text, "its state cannot be read") as StoreState;
  if (state.format !== 1) throw new Error(`its format is ${String(state.format)}, this version reads 1`);
  return state;
}

/** Inside a transaction only. */
export function writeState(tables: Tables, state: StoreState): void {
  tables.state.putSync(stateKey, JSON.stringify(state));
}
