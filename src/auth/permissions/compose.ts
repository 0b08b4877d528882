import type { Revocation } from "../revocation/revocation.ts";
import { createGroupRepair } from "../revocation/rollback/repair-groups.ts";
import type { RecordRepairs } from "../revocation/rollback/repair-records.ts";
import type { Store } from "../store.ts";
import { createCallerPermissions } from "./caller-permissions.ts";
import { createGroupTable, type GroupTable } from "./group-table.ts";
import { createGroups, type GroupsOptions } from "./groups.ts";
import { followGroups } from "./known-groups.ts";
import { createPermissionsReader, type PermissionsReaderOptions } from "./permissions-reader.ts";
import { createResourceTable, type ResourceTable } from "./resource-table.ts";
import { createResources, resourceRepairs } from "./resources.ts";

/** What this node knows of groups, entities and devices. */
export interface PermissionTables {
  readonly groupTable: GroupTable;
  readonly resourceTable: ResourceTable;
}

export function createPermissionTables(): PermissionTables {
  return { groupTable: createGroupTable(), resourceTable: createResourceTable() };
}

/** What is written again in a store that lost it. */
export function permissionRepairs(
  store: Store,
  { groupTable, resourceTable }: PermissionTables,
): RecordRepairs["others"] {
  const ofGroups = createGroupRepair({ store, table: groupTable });
  const ofResources = resourceRepairs({ store, table: resourceTable });
  return () => [...ofGroups(), ...ofResources()];
}

/** Before everything else that listens to revocation: whoever is told of a change decides by the tables. */
export function composeGroups(
  { groupTable, resourceTable }: PermissionTables,
  parts: {
    readonly store: Store;
    readonly revocation: Pick<Revocation, "track" | "onSecurityEvent" | "onRecovery">;
    readonly demands: GroupsOptions["demands"];
    readonly onDeleted: (groupId: string) => Promise<unknown>;
  },
) {
  const known = followGroups({ ...parts, table: groupTable });
  return {
    known,
    groups: createGroups({ ...parts, known }),
    resources: createResources({ ...parts, table: resourceTable }),
  };
}

export function composePermissions(
  { groupTable, resourceTable }: PermissionTables,
  options: Omit<PermissionsReaderOptions, "callers">,
) {
  const callers = createCallerPermissions({ groups: groupTable, resources: resourceTable });
  return createPermissionsReader({ ...options, callers });
}
