import { type CommandType, commands } from "../../../protocol/commands/index.ts";
import type { Policy } from "../../../protocol/policy.ts";
import { allows } from "../clients/scopes.ts";
import { systemGroups } from "../model.ts";
import { knownGroups, mayAct, type Standing, type TokenLimits, tokenPolicy } from "./caller-permissions.ts";
import { type Category, rulesOf } from "./compile-policy.ts";
import { isDelegable } from "./delegation.ts";
import type { ResourceLookup } from "./entity-rules.ts";
import type { GroupTable } from "./group-table.ts";
import { isOpenToNarrowed } from "./narrowed-tokens.ts";
import type { Verb } from "./permissions.ts";

export interface Question {
  readonly category: Category;
  /** An entity's id, a topic, or the type of a command. */
  readonly thing: string;
  /** Of commands it is not asked. */
  readonly verb: Verb;
}

/**
 * One rule with its verdict. `allow`: it grants. `pass`: it says nothing. `deny`: whatever the others say, the answer is no.
 */
export interface RuleVerdict {
  readonly rule: "user" | "owner" | "guard" | "group" | "delegation" | "token_scope" | "token_policy";
  /** Of a group's policy. */
  readonly groupId: string | null;
  /** The part of the policy. Null: the policy says nothing about the category. */
  readonly part: string | null;
  readonly verdict: "allow" | "pass" | "deny";
}

export interface Explanation {
  readonly allowed: boolean;
  /** In the order in which they are asked. */
  readonly rules: readonly RuleVerdict[];
}

export interface ExplainTools {
  readonly table: Pick<GroupTable, "get">;
  readonly resources: ResourceLookup;
  /** Whether the configuration leaves a command of administrators to the owner alone. */
  isOwnersAlone(type: string): boolean;
}

/**
 * Why somebody may do something, or may not. Something has to allow it, and nothing may deny it. The policies' rules are the
 * ones that decide.
 */
export function explain(
  tools: ExplainTools,
  standing: Standing,
  token: TokenLimits,
  question: Question,
): Explanation {
  const rules = [
    userRule(standing),
    { ...ownRule("owner"), verdict: standing.isOwner ? "allow" : "pass" } as const,
    ...guardRules(tools, standing, question),
    ...groupRules(tools, standing, question),
    ...delegationRules(standing, token, question),
    ...tokenRules(tools, token, question),
  ];
  const denied = rules.some(({ verdict }) => verdict === "deny");
  const granting = rules.some(({ rule, verdict }) => verdict === "allow" && givers.has(rule));
  return { allowed: granting && !denied, rules };
}

/** What allows by itself. A token only takes away. */
const givers: ReadonlySet<RuleVerdict["rule"]> = new Set(["owner", "guard", "group"]);

function ownRule(rule: RuleVerdict["rule"]) {
  return { rule, groupId: null, part: null } as const;
}

function userRule(standing: Standing): RuleVerdict {
  return { ...ownRule("user"), verdict: mayAct(standing) ? "pass" : "deny" };
}

/** Who may send a command at all. */
function guardRules(
  { isOwnersAlone }: ExplainTools,
  { isOwner }: Standing,
  { category, thing }: Question,
): readonly RuleVerdict[] {
  if (category !== "commands") return [];
  const guard = Object.hasOwn(commands, thing) ? commands[thing as CommandType].guard : undefined;
  const verdictOf = () => {
    if (guard === "admin" && !isOwnersAlone(thing)) return "pass";
    if (guard === "owner" || guard === "admin") return isOwner ? "pass" : "deny";
    return guard === "user" ? "allow" : "deny";
  };
  return [{ ...ownRule("guard"), verdict: verdictOf() }];
}

function groupRules(
  { table, resources }: ExplainTools,
  standing: Standing,
  question: Question,
): readonly RuleVerdict[] {
  return knownGroups(table, standing).flatMap(({ id, policy }) =>
    policyRules(policy, resources, question).map(({ part, grants }) => ({
      rule: "group",
      groupId: id,
      part,
      verdict: grants ? "allow" : "pass",
    })),
  );
}

function policyRules(policy: Policy, resources: ResourceLookup, { category, thing, verb }: Question) {
  const rules = rulesOf(policy, category, resources);
  if (rules.length === 0) return [{ part: null, grants: false }];
  return rules.map((rule) => ({ part: rule.name, grants: rule.grants(thing, verb) }));
}

/** Most commands of administrators are given to nobody else, and to no token with a policy. */
function delegationRules(
  standing: Standing,
  token: TokenLimits,
  { category, thing }: Question,
): readonly RuleVerdict[] {
  const hasGroup = standing.isOwner || standing.groupIds.includes(systemGroups.admin);
  const isAdmin = hasGroup && token.policy === null;
  if (category !== "commands" || isAdmin || !isOfAdministrators(thing)) return [];
  return [{ ...ownRule("delegation"), verdict: isDelegable(thing) ? "pass" : "deny" }];
}

function isOfAdministrators(type: string): boolean {
  return Object.hasOwn(commands, type) && ["admin", "owner"].includes(commands[type as CommandType].guard);
}

function tokenRules(
  { resources }: ExplainTools,
  token: TokenLimits,
  question: Question,
): readonly RuleVerdict[] {
  const scope = { ...ownRule("token_scope"), verdict: isInScope(token, question) ? "pass" : "deny" } as const;
  const policy = tokenPolicy(token);
  if (policy === undefined) return [scope];
  if (question.category === "commands" && !isOfAdministrators(question.thing))
    return [
      scope,
      { ...ownRule("token_policy"), verdict: isOpenToNarrowed(question.thing) ? "pass" : "deny" },
    ];
  const rules = policyRules(policy, resources, question);
  const isGranted = rules.some(({ grants }) => grants);
  return [
    scope,
    ...rules.map(({ part, grants }): RuleVerdict => {
      const verdict = grants ? "allow" : isGranted ? "pass" : "deny";
      return { rule: "token_policy", groupId: null, part, verdict };
    }),
  ];
}

function isInScope({ scope }: TokenLimits, { category, thing }: Question): boolean {
  if (category !== "commands") return allows(scope, "api");
  const needed = Object.hasOwn(commands, thing) ? commands[thing as CommandType].scope : "api";
  return needed === null || allows(scope, "api") || allows(scope, needed);
}
