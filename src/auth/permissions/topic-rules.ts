import type { PolicyVerbs, TopicPolicy } from "../../../protocol/policy.ts";
import { segmentsOf } from "../../../protocol/topic-pattern.ts";
import { allRule, everythingRule, type Rule, verbsGrant } from "./map-rules.ts";
import { type PatternTree, patternTree, treeMatches } from "./pattern-tree.ts";
import type { Verb } from "./permissions.ts";

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
  if (policy === undefined) return nothing;
  const patterns = policy === true ? undefined : policy.patterns;
  const some = patterns === undefined || patterns === true ? nothing : treesOf(patterns);
  const tree = (verb: Verb) => (grantsAllTopics(policy, verb) ? everyTopic : some[verb]);
  return {
    get read() {
      return tree("read");
    },
    get control() {
      return tree("control");
    },
    get edit() {
      return tree("edit");
    },
  };
}

const noTopic = patternTree([]);
const everyTopic = patternTree([["#"]]);
const nothing: TopicTrees = { read: noTopic, control: noTopic, edit: noTopic };

/** The patterns that a policy grants; `#` for everything. */
export function grantedPatterns(policy: TopicPolicy | undefined, verb: Verb): readonly string[] {
  if (policy === undefined) return [];
  if (grantsAllTopics(policy, verb)) return ["#"];
  return policy === true || policy.patterns === true ? [] : patternsFor(policy.patterns ?? {}, verb);
}

function grantsAllTopics(policy: TopicPolicy, verb: Verb): boolean {
  return policy === true || policy.patterns === true || verbsGrant(policy.all, verb);
}

function patternsRule(patterns: true | Patterns): Rule {
  if (patterns === true) return everythingRule("patterns");
  const trees = treesOf(patterns);
  return { name: "patterns", grants: (topic, verb) => treeMatches(trees[verb], segmentsOf(topic)) };
}

/** Everybody who has the policy shares its trees. */
const madeTrees = new WeakMap<Patterns, TopicTrees>();

function treesOf(patterns: Patterns): TopicTrees {
  let trees = madeTrees.get(patterns);
  if (trees === undefined) {
    trees = new PatternTrees(patterns);
    madeTrees.set(patterns, trees);
  }
  return trees;
}

/** Made when a verb is asked for. Verbs with the same patterns share one tree. */
class PatternTrees implements TopicTrees {
  readonly #patterns: Patterns;
  readonly #made = new Map<Verb, { readonly patterns: readonly string[]; readonly tree: PatternTree }>();

  constructor(patterns: Patterns) {
    this.#patterns = patterns;
  }

  get read() {
    return this.#treeFor("read");
  }

  get control() {
    return this.#treeFor("control");
  }

  get edit() {
    return this.#treeFor("edit");
  }

  #treeFor(verb: Verb): PatternTree {
    const made = this.#made.get(verb);
    if (made !== undefined) return made.tree;
    const patterns = patternsFor(this.#patterns, verb);
    // Both are in the order of the policy.
    const same = [...this.#made.values()].find(
      (other) =>
        other.patterns.length === patterns.length &&
        other.patterns.every((each, at) => each === patterns[at]),
    );
    const tree = same?.tree ?? patternTree(patterns.map(segmentsOf));
    this.#made.set(verb, { patterns, tree });
    return tree;
  }
}

function patternsFor(patterns: Patterns, verb: Verb): readonly string[] {
  return Object.entries(patterns).flatMap(([pattern, value]) => (verbsGrant(value, verb) ? [pattern] : []));
}
