import { parseGroup } from "../../permissions/group-record.ts";
import { repeatGroupStep } from "../../permissions/group-steps.ts";
import type { GroupState, GroupTable } from "../../permissions/group-table.ts";
import { recordKeys } from "../../record-keys.ts";
import { readRecord, type Store } from "../../store.ts";
import type { RecordRepairs } from "./repair-records.ts";

/**
 * Writes groups again in a store that lost their last change. All nodes then decide by the same policy, whatever they had
 * read before. A change that was committed later stands. A damaged record is replaced.
 */
export function createGroupRepair(options: {
  readonly store: Store;
  readonly table: Pick<GroupTable, "states">;
}): RecordRepairs["others"] {
  const { store, table } = options;
  const repair = async (state: GroupState) => {
    const record = await readRecord(store, recordKeys.group(state.id));
    const stored = record && parseGroup(record);
    const isCurrent = stored === undefined ? state.content === null : stored.state.version >= state.version;
    if (isCurrent && (record === undefined || stored !== undefined)) return undefined;
    const before = { id: state.id, recordVersion: record?.version ?? 0 };
    return { step: repeatGroupStep(before, state), revokes: null };
  };
  return () => table.states().map((state) => () => repair(state));
}
