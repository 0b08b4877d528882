import { DamageError, storedJson } from "./damage.ts";
import { keyNumber, type Tables } from "./tables.ts";

/** The store's own state. It is read and written in the transaction that changes it. */
export interface StoreState {
  /** Version of the file's layout. */
  readonly format: 1;
  /** Number of the last commit; see `StoredRecord.version`. */
  readonly commits: number;
  /** Sequence number of the last log entry. The numbers have no gaps. */
  readonly logHead: number;
  /** `at` of the last log entry. The log's times never fall, even if the clock does. */
  readonly logLastAt: number;
  /** `at` of the newest trimmed entry; 0 if nothing was trimmed. */
  readonly logTrimmedAt: number;
}

const stateKey = Buffer.from("state");
const empty: StoreState = { format: 1, commits: 0, logHead: 0, logLastAt: 0, logTrimmedAt: 0 };
const unreadable = "its state cannot be read";

/** Throws `DamageError` if it cannot be what was written. */
export function readState(tables: Tables): StoreState {
  const text = tables.state.get(stateKey);
  if (text === undefined) return emptyState(tables);
  const state = storedJson(text, unreadable);
  if (typeof state !== "object" || state === null || !("format" in state)) throw new DamageError(unreadable);
  if (state.format !== 1) throw new Error(`its format is ${String(state.format)}, this version reads 1`);
  if (!isState(state)) throw new DamageError(unreadable);
  return state;
}

function isState(state: object): state is StoreState {
  const fields = new Map<string, unknown>(Object.entries(state));
  return ["commits", "logHead", "logLastAt", "logTrimmedAt"].every((name) => {
    const value = fields.get(name);
    return typeof value === "number" && value >= 0;
  });
}

/** For a store that was never written to. */
function emptyState(tables: Tables): StoreState {
  if (isEmpty(tables.records) && isEmpty(tables.log)) return empty;
  throw new DamageError("its state is missing");
}

function isEmpty(table: Tables["records"]): boolean {
  return [...table.getKeys({ limit: 1 })].length === 0;
}

/**
 * Reads the state and checks it against the last entry of the log: the entry's sequence number must match, and its
 * commit must not be later than the last one. Throws `DamageError`.
 */
export function checkedState(tables: Tables): StoreState {
  const state = readState(tables);
  const [last] = tables.log.getRange({ reverse: true, limit: 1 });
  if (last === undefined) return state;
  const version = Number(last.value.split("|", 2)[1]);
  if (keyNumber(last.key) !== state.logHead || !(version <= state.commits))
    throw new DamageError("its state and its log do not agree");
  return state;
}

/** Call inside a transaction only. */
export function writeState(tables: Tables, state: StoreState): void {
  tables.state.putSync(stateKey, JSON.stringify(state));
}
