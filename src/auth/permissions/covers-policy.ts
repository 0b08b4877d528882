import type { EntityPolicy, Policy, PolicyMap, PolicyVerbs } from "../../../protocol/policy.ts";
import { segmentsOf } from "../../../protocol/topic-pattern.ts";
import { isInNamespace } from "./command-rules.ts";
import { domainOf } from "./entity-rules.ts";
import { verbsGrant } from "./map-rules.ts";
import { treeMatches } from "./pattern-tree.ts";
import type { Verb } from "./permissions.ts";
import { grantedPatterns, topicTrees, verbs } from "./topic-rules.ts";

/**
 * Whether the outer policies together grant everything that the inner one grants, whatever is registered about entities and
 * devices, now or later. A pattern over topics counts as granted if one pattern of one outer policy stands for all of its
 * topics: so the answer may be no although several patterns together do.
 */
export function coversPolicy(outer: readonly Policy[], inner: Policy): boolean {
  return (
    verbs.every((verb) => coversEntities(outer, inner.entities, verb)) &&
    verbs.every((verb) => coversTopics(outer, inner, verb)) &&
    coversCommands(outer, inner)
  );
}

const maps = ["entity_ids", "device_ids", "area_ids", "domains"] as const;

function coversEntities(outer: readonly Policy[], inner: EntityPolicy | undefined, verb: Verb): boolean {
  if (inner === undefined || outer.some(({ entities }) => grantsAllEntities(entities, verb))) return true;
  if (inner === true || grantsAllEntities(inner, verb)) return false;
  const within = outer.flatMap(({ entities }) => (typeof entities === "object" ? [entities] : []));
  const has = (name: (typeof maps)[number], key: string) =>
    within.some((policy) => hasKey(policy[name], key, verb));
  return maps.every((name) =>
    grantedKeys(inner[name], verb).every(
      (key) => has(name, key) || (name === "entity_ids" && has("domains", domainOf(key))),
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

function coversTopics(outer: readonly Policy[], inner: Policy, verb: Verb): boolean {
  const patterns = grantedPatterns(inner.topics, verb).map(segmentsOf);
  if (patterns.length === 0) return true;
  const trees = outer.map(({ topics }) => topicTrees(topics)[verb]);
  return patterns.every((pattern) => trees.some((tree) => treeMatches(tree, pattern)));
}

function coversCommands(outer: readonly Policy[], { commands: inner }: Policy): boolean {
  const all = outer.flatMap(({ commands }) => (commands === undefined ? [] : [commands]));
  if (inner === undefined || all.includes(true)) return true;
  if (inner === true) return false;
  const within = all.flatMap((commands) => (commands === true ? [] : [commands.namespaces]));
  if (within.includes(true) || inner.namespaces === undefined) return true;
  if (inner.namespaces === true) return false;
  const granted = within.flatMap((namespaces) => (namespaces === true ? [] : Object.keys(namespaces ?? {})));
  return Object.keys(inner.namespaces).every((namespace) =>
    granted.some((wider) => isInNamespace(namespace, wider)),
  );
}
