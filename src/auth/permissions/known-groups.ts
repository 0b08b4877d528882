import { AuthError } from "../errors.ts";
import { recordKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { Checks, Store } from "../store.ts";
import { parseGroup, readGroup, readGroups } from "./group-record.ts";
import type { GroupTable, KnownGroup } from "./group-table.ts";
import { loadedOnce } from "./loaded-once.ts";
import { isSystemGroup } from "./system-groups.ts";

/** The groups of the installation, for whoever looks one up. */
export interface KnownGroups {
  list(): Promise<readonly KnownGroup[]>;
  get(id: string): Promise<KnownGroup | undefined>;
  /** Those of the ids that are groups. Asks the store for one that this node has not heard of. */
  existing(ids: readonly string[]): Promise<readonly string[]>;
  /** The same, as far as this node has heard. For ids that users have: one of a deleted group means nothing. */
  among(ids: readonly string[]): Promise<readonly string[]>;
  /**
   * Checks for a commit that rests on what these groups give: they are as this node knows them. Throws `conflict` if the
   * store has them otherwise already.
   */
  unchanged(ids: readonly string[]): Promise<Checks>;
}

/** Throws `invalid_group` unless all of them are groups. */
export async function requireGroups(
  groups: Pick<KnownGroups, "existing">,
  ids: readonly string[],
): Promise<void> {
  if ((await groups.existing(ids)).length < ids.length) throw new AuthError("invalid_group");
}

export interface KnownGroupsOptions {
  readonly store: Pick<Store, "list" | "get">;
  readonly table: GroupTable;
  readonly revocation: Pick<Revocation, "onSecurityEvent" | "onRecovery">;
}

/**
 * Keeps the table of this node current: from the store before the node is trusted for the first time, and after the log
 * broke; from the log otherwise. The store's answer never replaces a later version that the log has told of. A command
 * line process does not follow the log from its beginning, and reads the store once.
 */
export function followGroups({ store, table, revocation }: KnownGroupsOptions): KnownGroups {
  const load = async () => {
    for (const { state } of await readGroups(store)) table.apply(state);
  };
  revocation.onSecurityEvent((event) => {
    if (event.kind === "group_changed") table.apply(event.group);
    return 0;
  });
  const ready = loadedOnce(load, revocation);
  /** The group may have been created a moment ago, on another node. */
  const find = async (id: string) => {
    await ready();
    if (table.latest(id) === undefined) {
      const stored = await readGroup(store, id);
      if (stored !== undefined) table.apply(stored.state);
    }
    return table.get(id);
  };
  return {
    async list() {
      await ready();
      return table.list();
    },
    get: find,
    async existing(ids) {
      const found = await Promise.all(ids.map(find));
      return found.filter((group) => group !== undefined).map(({ id }) => id);
    },
    async among(ids) {
      await ready();
      return ids.every((id) => table.get(id) !== undefined) ? ids : ids.filter((id) => table.get(id));
    },
    async unchanged(ids) {
      await ready();
      const keys = [...new Set(ids)].filter((id) => !isSystemGroup(id));
      if (keys.length === 0) return [];
      const records = await store.get(keys.map(recordKeys.group));
      return keys.map((id, place) => {
        const record = records[place];
        const stored = record && parseGroup(record);
        if (table.get(id)?.version !== stored?.state.version) throw new AuthError("conflict");
        return { key: recordKeys.group(id), version: record?.version ?? 0 };
      });
    },
  };
}
