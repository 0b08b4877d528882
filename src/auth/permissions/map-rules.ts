import type { PolicyMap, PolicyVerbs } from "../../../protocol/policy.ts";
import type { Verb } from "./permissions.ts";

/** One rule of a policy about things of one kind. A rule grants, or says nothing: none denies. */
export interface Rule {
  /** Where the rule stands in the policy. */
  readonly name: string;
  grants(thing: string, verb: Verb): boolean;
}

/** A rule that grants everything. */
export function everythingRule(name: string): Rule {
  return { name, grants: () => true };
}

export function verbsGrant(verbs: PolicyVerbs | undefined, verb: Verb): boolean {
  return verbs === true || verbs?.[verb] === true;
}

/**
 * The rule of a map by ids. `idOf` says under which id a thing is found. As in Home Assistant, `true` instead of a map
 * grants everything, also things that have no such id.
 */
export function mapRule(name: string, map: PolicyMap, idOf: (thing: string) => string | undefined): Rule {
  if (map === true) return everythingRule(name);
  const byId = new Map(Object.entries(map));
  return {
    name,
    grants(thing, verb) {
      const id = idOf(thing);
      return id !== undefined && verbsGrant(byId.get(id), verb);
    },
  };
}

export function allRule(verbs: PolicyVerbs): Rule {
  return { name: "all", grants: (_, verb) => verbsGrant(verbs, verb) };
}
