import type { Command } from "commander";

import type { Authority } from "../auth/authority.ts";
import { AuthError } from "../auth/errors.ts";
import { systemGroups } from "../auth/model.ts";
import type { KnownGroup } from "../auth/permissions/group-table.ts";
import { UsageError } from "./output.ts";

/** Short names of the three groups of the system. */
const shortNames: ReadonlyMap<string, string> = new Map([
  ["admin", systemGroups.admin],
  ["users", systemGroups.users],
  ["read-only", systemGroups.readOnly],
]);

/** For the help of every command that takes a group. */
export const groupSpelling = "admin, users, read-only, or the id or name of a group";

type GroupAuthority = Pick<Authority, "groups">;

/**
 * Finds a group by its id, a short name, or the name of a group that is not the system's. An id counts first, so no name
 * hides a group. Throws `not_found`, and `UsageError` if the name stands for several groups.
 */
export async function findGroup({ groups }: GroupAuthority, spelled: string): Promise<KnownGroup> {
  const all = await groups.list();
  const numbered = all.find(({ id }) => id === spelled);
  if (numbered !== undefined) return numbered;
  const short = shortNames.get(spelled);
  const found = all.filter(({ id, name, systemGenerated }) =>
    systemGenerated ? id === short : name === spelled,
  );
  const [group, ...more] = found;
  if (group === undefined)
    throw new AuthError("not_found", {
      publicMessage: `There is no such group: give ${groupSpelling}. See \`gatehouse groups list\``,
    });
  if (more.length > 0)
    throw new UsageError(
      `several groups have the name ${spelled}. Give an id: ${found.map(({ id }) => id).join(", ")}`,
    );
  return group;
}

/** The ids of groups, each once. Throws as `findGroup`. */
export async function groupIdsOf(
  authority: GroupAuthority,
  spelled: readonly string[],
): Promise<readonly string[]> {
  const found = await Promise.all(spelled.map((each) => findGroup(authority, each)));
  return [...new Set(found.map(({ id }) => id))];
}

/** What people call these groups; an id for a group that is not there any more. */
export async function groupNamesOf(
  { groups }: GroupAuthority,
  ids: readonly string[],
): Promise<readonly string[]> {
  const names = new Map((await groups.list()).map(({ id, name }) => [id, name]));
  return ids.map((id) => names.get(id) ?? id);
}

/** Adds `--group`, which may be repeated. */
export function takingGroups(command: Command, what: string): Command {
  return command.option("--group <group>", `${what}: ${groupSpelling}; may be repeated`, collected);
}

function collected(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
