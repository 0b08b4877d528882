import type { PolicyVerbs, TopicPolicy } from "../../../protocol/policy.ts";
import { segmentsOf } from "../../../protocol/topic-pattern.ts";
import { type PatternTree, patternTree, treeMatches } from "./pattern-tree.ts";
import type { Verb } from "./permissions.ts";
import { allRule, everythingRule, type Rule, verbsGrant } from "./rules.ts";

export const verbs: readonly Verb[] = ["read", "control", "edit"];

/** The topics that a policy grants, for each verb. */
export type TopicTrees = Readonly<Record<Verb, PatternTree>>;

type Patterns = Readonly<Record<string, PolicyVerbs>>;

/** The rules of a policy about topics, the most precise first. */
export function topicRules(policy: TopicPolicy | undefined): readonly Rule[] {
  if (policy === undefined) return [];
  if (policy === true) return [everythingRule("topics")];
  const { patterns, all } = policy;
  return [patterns && patternsRule(patterns), all && allRule(all)].filter((rule) => rule !== undefined);
}

export function topicTrees(policy: TopicPolicy | undefined): TopicTrees {
  const tree = (verb: Verb) => patternTree(grantedPatterns(policy, verb).map(segmentsOf));
  return { read: tree("read"), control: tree("control"), edit: tree("edit") };
}

/** The patterns that a policy grants; `#` for everything. */
export function grantedPatterns(policy: TopicPolicy | undefined, verb: Verb): readonly string[] {
  if (policy === undefined) return [];
  if (policy === true || policy.patterns === true || verbsGrant(policy.all, verb)) return ["#"];
  return patternsFor(policy.patterns ?? {}, verb);
}

/** Whoever explains asks the same groups again and again. */
const madeRules = new WeakMap<object, Rule>();

function patternsRule(patterns: true | Patterns): Rule {
  if (patterns === true) return everythingRule("patterns");
  const rule = madeRules.get(patterns) ?? ruleOf(patterns);
  madeRules.set(patterns, rule);
  return rule;
}

function ruleOf(patterns: Patterns): Rule {
  // An explanation asks for one verb.
  const trees = new Map<Verb, PatternTree>();
  const treeFor = (verb: Verb) => {
    const made = trees.get(verb) ?? patternTree(patternsFor(patterns, verb).map(segmentsOf));
    trees.set(verb, made);
    return made;
  };
  return { name: "patterns", grants: (topic, verb) => treeMatches(treeFor(verb), segmentsOf(topic)) };
}

function patternsFor(patterns: Patterns, verb: Verb): readonly string[] {
  return Object.entries(patterns).flatMap(([pattern, value]) => (verbsGrant(value, verb) ? [pattern] : []));
}
