import type { LogEvent } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { RecordRepairs } from "../revocation/rollback/repair-records.ts";
import { readRecord, type Step, type Store, type StoredRecord } from "../store.ts";
import { parseDemands } from "./assurance.ts";

/** Which groups demand a second factor, by one commit. */
export interface DemandState {
  readonly groups: readonly string[];
  /** The number of the commit. */
  readonly version: number;
}

/**
 * The demands that this node heard of last: to write them again in a store that lost them. Whoever decides on a demand
 * reads the store.
 */
export interface DemandTable {
  latest(): DemandState | undefined;
  /** Without effect if the same version, or a later one, is known. */
  apply(state: DemandState): void;
}

export function createDemandTable(): DemandTable {
  let latest: DemandState | undefined;
  return {
    latest: () => latest,
    apply(state) {
      if (latest === undefined || state.version > latest.version) latest = state;
    },
  };
}

/** Keeps the table current: from the store before the node is trusted, from the log otherwise. */
export function followDemands(options: {
  readonly store: Pick<Store, "get">;
  readonly table: DemandTable;
  readonly revocation: Pick<Revocation, "onSecurityEvent" | "onRecovery">;
}): void {
  const { store, table, revocation } = options;
  revocation.onSecurityEvent((event) => {
    if (event.kind === "factor_demands_changed") table.apply(event.demands);
    return 0;
  });
  revocation.onRecovery(async () => {
    const record = await readRecord(store, recordKeys.factorDemands);
    if (record !== undefined) table.apply({ groups: parseDemands(record), version: record.version });
  });
}

/** The part of a commit that decides which groups demand a second factor, if nobody has since the record was read. */
export function changeDemandsStep(record: StoredRecord | undefined, groups: readonly string[]): Step {
  const key = recordKeys.factorDemands;
  const event: LogEvent = { type: "factor_demands_changed", groups };
  return {
    check: [{ key, version: record?.version ?? 0 }],
    put: [{ key, value: { groups } }],
    log: [{ ...event }],
    durable: true,
  };
}

/** Writes the demands again in a store that lost their last change. A change that was committed later stands. */
export function createDemandRepair(options: {
  readonly store: Pick<Store, "get">;
  readonly table: Pick<DemandTable, "latest">;
}): RecordRepairs["others"] {
  const { store, table } = options;
  const repair = async () => {
    const state = table.latest();
    const record = await readRecord(store, recordKeys.factorDemands);
    if (state === undefined || (record?.version ?? 0) >= state.version) return undefined;
    return { step: changeDemandsStep(record, state.groups), revokes: null };
  };
  return () => [repair];
}
