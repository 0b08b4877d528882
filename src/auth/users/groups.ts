import { type Group, systemGroups } from "../model.ts";
import type { Groups } from "./users.ts";

/** Home Assistant's names for its three groups. */
const all: readonly Group[] = [
  { id: systemGroups.admin, name: "Administrators", systemGenerated: true },
  { id: systemGroups.users, name: "Users", systemGenerated: true },
  { id: systemGroups.readOnly, name: "Read Only", systemGenerated: true },
];

/** The groups of the system: constants, so nothing is stored. */
export function createGroups(): Groups {
  const ids = new Set(all.map((group) => group.id));
  return {
    list: async () => all,
    exists: async (groupIds) => groupIds.every((id) => ids.has(id)),
  };
}
