import type { Policy } from "../../../protocol/policy.ts";
import { commandRules } from "./command-rules.ts";
import { entityRules, type ResourceLookup } from "./entity-rules.ts";
import type { Rule } from "./map-rules.ts";
import type { Verb } from "./permissions.ts";
import { type TopicTrees, topicRules, topicTrees } from "./topic-rules.ts";

/** A policy as functions. */
export interface CompiledPolicy {
  readonly rules: {
    readonly entities: readonly Rule[];
    readonly topics: readonly Rule[];
    readonly commands: readonly Rule[];
  };
  readonly topicTrees: TopicTrees;
}

export type Category = keyof CompiledPolicy["rules"];

export function compilePolicy(policy: Policy, resources: ResourceLookup): CompiledPolicy {
  return {
    rules: {
      entities: rulesOf(policy, "entities", resources),
      topics: rulesOf(policy, "topics", resources),
      commands: rulesOf(policy, "commands", resources),
    },
    topicTrees: topicTrees(policy.topics),
  };
}

/** The rules of one category, in the order in which they are asked. */
export function rulesOf(policy: Policy, category: Category, resources: ResourceLookup): readonly Rule[] {
  if (category === "entities") return entityRules(policy.entities, resources);
  return category === "topics" ? topicRules(policy.topics) : commandRules(policy.commands);
}

/** Whether a rule grants it. There are no others: what no rule grants is denied. */
export function grants(compiled: CompiledPolicy, category: Category, thing: string, verb: Verb): boolean {
  for (const rule of compiled.rules[category]) if (rule.grants(thing, verb)) return true;
  return false;
}
