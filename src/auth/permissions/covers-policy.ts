import type { EntityPolicy, Policy, PolicyMap, PolicyVerbs } from "../../../protocol/policy.ts";
import { segmentsOf } from "../../../protocol/topic-pattern.ts";
import { isInNamespace } from "./command-rules.ts";
import { domainOf } from "./entity-rules.ts";
import { treeMatches } from "./pattern-tree.ts";
import type { Verb } from "./permissions.ts";
import { verbsGrant } from "./rules.ts";
import { grantedPatterns, type TopicTrees, topicTrees, verbs } from "./topic-rules.ts";

/**
 * Whether the outer policy grants everything that the inner one grants, whatever is registered about entities and devices,
 * now or later. A pattern over topics counts as granted if one pattern of the outer policy stands for all of its topics: so
 * the answer may be no although several patterns together do. `trees`: of the outer policy's topics.
 */
export function coversPolicy(
  outer: Policy,
  inner: Policy,
  trees: TopicTrees = topicTrees(outer.topics),
): boolean {
  return (
    verbs.every((verb) => coversEntities(outer.entities, inner.entities, verb)) &&
    verbs.every((verb) => coversTopics(trees, inner, verb)) &&
    coversCommands(outer, inner)
  );
}

const maps = ["entity_ids", "device_ids", "area_ids", "domains"] as const;

function coversEntities(
  outer: EntityPolicy | undefined,
  inner: EntityPolicy | undefined,
  verb: Verb,
): boolean {
  if (inner === undefined || grantsAllEntities(outer, verb)) return true;
  if (inner === true || grantsAllEntities(inner, verb)) return false;
  const within = typeof outer === "object" ? outer : {};
  return maps.every((name) =>
    grantedKeys(inner[name], verb).every(
      (key) =>
        hasKey(within[name], key, verb) ||
        (name === "entity_ids" && hasKey(within.domains, domainOf(key), verb)),
    ),
  );
}

/** `true` in the place of a map grants everything. */
function grantsAllEntities(policy: EntityPolicy | undefined, verb: Verb): boolean {
  if (policy === undefined || policy === true) return policy === true;
  return verbsGrant(policy.all, verb) || maps.some((name) => policy[name] === true);
}

function grantedKeys(map: PolicyMap | undefined, verb: Verb): readonly string[] {
  if (map === undefined || map === true) return [];
  return Object.entries(map).flatMap(([key, value]) => (verbsGrant(value, verb) ? [key] : []));
}

function hasKey(map: PolicyMap | undefined, key: string, verb: Verb): boolean {
  if (map === undefined || map === true) return map === true;
  const value: PolicyVerbs | undefined = Object.hasOwn(map, key) ? map[key] : undefined;
  return verbsGrant(value, verb);
}

function coversTopics(trees: TopicTrees, inner: Policy, verb: Verb): boolean {
  return grantedPatterns(inner.topics, verb).every((pattern) =>
    treeMatches(trees[verb], segmentsOf(pattern)),
  );
}

function coversCommands({ commands: outer }: Policy, { commands: inner }: Policy): boolean {
  if (inner === undefined || outer === true) return true;
  if (inner === true) return false;
  if (outer?.namespaces === true || inner.namespaces === undefined) return true;
  if (inner.namespaces === true) return false;
  const granted = Object.keys(outer?.namespaces ?? {});
  return Object.keys(inner.namespaces).every((namespace) =>
    granted.some((wider) => isInNamespace(namespace, wider)),
  );
}
