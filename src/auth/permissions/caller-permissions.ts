import { LRUCache } from "lru-cache";
import type { Policy } from "../../../protocol/policy.ts";
import { segmentsOf } from "../../../protocol/topic-pattern.ts";
import { allows } from "../clients/scopes.ts";
import { type Rights, systemGroups, type User } from "../model.ts";
import type { JsonObject } from "../store.ts";
import { isActive } from "../users/account-status.ts";
import { type Category, compilePolicy, grants } from "./compile-policy.ts";
import { coversPolicy } from "./covers-policy.ts";
import { isDelegable } from "./delegation.ts";
import { type ResourceLookup, readsResources } from "./entity-rules.ts";
import { readablePolicy } from "./group-record.ts";
import type { GroupTable, KnownGroup } from "./group-table.ts";
import { mergePolicies } from "./merge-policies.ts";
import { haveCommonTopic, patternTree } from "./pattern-tree.ts";
import type { SenderPermissions, Verb } from "./permissions.ts";
import { everything } from "./system-groups.ts";

/** What counts of a user. */
export interface Standing {
  readonly isOwner: boolean;
  readonly isActive: boolean;
  readonly groupIds: readonly string[];
}

/** Where a user stands; undefined for nobody. */
export function standingOf(user: (Rights & Pick<User, "isOwner">) | undefined): Standing | undefined {
  return user && { isOwner: user.isOwner, isActive: isActive(user), groupIds: user.groupIds };
}

/** What narrows a token. Both only take away. */
export interface TokenLimits {
  readonly scope: string | null;
  /** JSON; null: everything that the user may do. */
  readonly policy: string | null;
}

/** Nothing at all: somebody who is gone, or not active, or of whom nothing is known yet. */
export const noPermissions: SenderPermissions = {
  isAdmin: false,
  mayUseEntity: () => false,
  mayUseTopic: () => false,
  mayUseSomeOf: () => false,
  mayCommand: () => false,
  covers: () => false,
};

/** Finds the permissions of callers. Those with the same rights get the same object. */
export interface CallerPermissions {
  of(standing: Standing | undefined, token: TokenLimits): SenderPermissions;
}

export interface CallerPermissionsOptions {
  readonly groups: Pick<GroupTable, "get">;
  readonly resources: ResourceLookup & {
    /** Another number after each change. */
    readonly revision: number;
  };
}

/** Compiled permissions that are kept. Beyond it callers with the same rights may get several objects. */
const capacity = 2_000;

export function createCallerPermissions({ groups, resources }: CallerPermissionsOptions): CallerPermissions {
  const compiled = new LRUCache<string, SenderPermissions>({ max: capacity });
  return {
    of(standing, token) {
      if (standing === undefined || !mayAct(standing)) return noPermissions;
      const known = knownGroups(groups, standing);
      const hasApi = allows(token.scope, "api");
      const key = [
        standing.isOwner ? "owner" : "",
        hasApi ? "api" : "",
        usesResources(known, token) ? resources.revision : "",
        ...known.map(({ id, revision }) => `${id}@${revision}`),
        token.policy ?? "",
      ].join(" ");
      const found = compiled.get(key);
      if (found !== undefined) return found;
      const made = compile(standing.isOwner, known, { hasApi, policy: tokenPolicy(token) }, resources);
      compiled.set(key, made);
      return made;
    },
  };
}

export function mayAct({ isActive: active, isOwner }: Standing): boolean {
  return active || isOwner;
}

/** A group that is not known gives nothing. The owner is above all of them. */
export function knownGroups(
  groups: Pick<GroupTable, "get">,
  { isOwner, groupIds }: Standing,
): readonly KnownGroup[] {
  if (isOwner) return [];
  return [...new Set(groupIds)]
    .sort()
    .map((id) => groups.get(id))
    .filter((group) => group !== undefined);
}

/** Undefined: the token is not narrowed. */
export function tokenPolicy({ policy }: TokenLimits): Policy | undefined {
  return policy === null ? undefined : readablePolicy(JSON.parse(policy) as JsonObject);
}

function usesResources(groups: readonly KnownGroup[], token: TokenLimits): boolean {
  return (
    groups.some(({ policy }) => readsResources(policy.entities)) ||
    (token.policy !== null && readsResources(tokenPolicy(token)?.entities))
  );
}

function compile(
  isOwner: boolean,
  groups: readonly KnownGroup[],
  token: { readonly hasApi: boolean; readonly policy: Policy | undefined },
  resources: ResourceLookup,
): SenderPermissions {
  const isAdmin = isOwner || groups.some(({ id }) => id === systemGroups.admin);
  const policy = isAdmin ? everything : mergePolicies(groups.map((group) => group.policy));
  const policies = token.policy === undefined ? [policy] : [policy, token.policy];
  return permissionsOf({ isAdmin, hasApi: token.hasApi, policies, resources });
}

interface Parts {
  readonly isAdmin: boolean;
  readonly hasApi: boolean;
  /** What the groups give, and what the token is narrowed to. Only what each of them grants is allowed. */
  readonly policies: readonly Policy[];
  readonly resources: ResourceLookup;
}

function permissionsOf({ isAdmin, hasApi, policies, resources }: Parts): SenderPermissions {
  const parts = policies.map((policy) => ({ policy, compiled: compilePolicy(policy, resources) }));
  const all = parts.map(({ compiled }) => compiled);
  const allGrant = (category: Category, thing: string, verb: Verb) =>
    all.every((compiled) => grants(compiled, category, thing, verb));
  // Whoever's token is narrowed counts as a delegate, also the owner: the rest of the policy would be worthless otherwise.
  const isWhole = isAdmin && policies.length === 1;
  return {
    isAdmin: isWhole && hasApi,
    mayUseEntity: (entityId, verb) => hasApi && allGrant("entities", entityId, verb),
    mayUseTopic: (topic, verb) => hasApi && allGrant("topics", topic, verb),
    mayUseSomeOf: (pattern, verb) =>
      hasApi &&
      haveCommonTopic([patternTree([segmentsOf(pattern)]), ...all.map(({ topicTrees }) => topicTrees[verb])]),
    // A token's scope is compared with the one that the command needs.
    mayCommand: (type) => (isWhole || isDelegable(type)) && allGrant("commands", type, "control"),
    covers: (inner) =>
      hasApi && parts.every(({ policy, compiled }) => coversPolicy(policy, inner, compiled.topicTrees)),
  };
}
