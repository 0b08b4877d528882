import { type Group, systemGroups } from "../model.ts";
import type { Groups } from "../users/users.ts";

/** Home Assistant's names for its three groups. */
const all: readonly Group[] = [
  { id: systemGroups.admin, name: "Administrators", systemGenerated: true },
  { id: systemGroups.users, name: "Users", systemGenerated: true },
  { id: systemGroups.readOnly, name: "Read Only", systemGenerated: true },
];

const leastToMostPowerful: readonly string[] = [
  systemGroups.readOnly,
  systemGroups.users,
  systemGroups.admin,
];

/**
 * Whether the most powerful group of the first list is less powerful than that of the second. No group at all is the
 * least.
 */
export function isLessPowerful(groupIds: readonly string[], than: readonly string[]): boolean {
  const powerOf = (ids: readonly string[]) =>
    Math.max(-1, ...ids.map((id) => leastToMostPowerful.indexOf(id)));
  return powerOf(groupIds) < powerOf(than);
}

/** The system's groups. They are constants, so nothing is stored. */
export function createGroups(): Groups {
  const ids = new Set(all.map((group) => group.id));
  return {
    list: async () => all,
    exists: async (groupIds) => groupIds.every((id) => ids.has(id)),
  };
}
