import { Type } from "typebox";

/** The option `group_mapping`: which group of Gatehouse a group (or claim value) of the provider stands for. */
export const groupMappingOption = {
  group_mapping: Type.Optional(
    Type.Record(
      Type.String({ minLength: 1, maxLength: 1024 }),
      Type.String({ minLength: 1, maxLength: 64 }),
      {
        maxProperties: 256,
        description:
          "Which group's id each group of the provider stands for. Applied at every login: the user has these groups and no other. Without it the provider changes no groups.",
      },
    ),
  ),
};

/**
 * The groups for a profile. Undefined without a mapping: then the provider decides on no groups. A name that is not in
 * the mapping gives nothing. `normalise` makes two spellings of one name equal (a DN of LDAP).
 */
export function mappedGroups(
  mapping: Readonly<Record<string, string>> | undefined,
  names: readonly string[],
  normalise: (name: string) => string = (name) => name,
): readonly string[] | undefined {
  if (mapping === undefined) return undefined;
  const groupOf = new Map(Object.entries(mapping).map(([name, group]) => [normalise(name), group]));
  const groups = names.flatMap((name) => groupOf.get(normalise(name)) ?? []);
  return [...new Set(groups)];
}
