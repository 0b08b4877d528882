import type { Policy } from "../../../protocol/policy.ts";
import { systemGroups } from "../model.ts";

export interface SystemGroup {
  readonly id: string;
  readonly name: string;
  readonly policy: Policy;
}

/** What administrators and the owner may do. */
export const everything: Policy = { entities: true, topics: true, commands: true };

/**
 * Home Assistant's three groups, with its policies for entities. Publishing changes what others see, so beside
 * administrators only those may publish whose group names the topics.
 */
export const allSystemGroups: readonly SystemGroup[] = [
  { id: systemGroups.admin, name: "Administrators", policy: everything },
  { id: systemGroups.users, name: "Users", policy: { entities: true, topics: { all: { read: true } } } },
  {
    id: systemGroups.readOnly,
    name: "Read Only",
    policy: { entities: { all: { read: true } }, topics: { all: { read: true } } },
  },
];

export function isSystemGroup(id: string): boolean {
  return allSystemGroups.some((group) => group.id === id);
}
