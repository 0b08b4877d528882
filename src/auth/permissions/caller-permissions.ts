import { LRUCache } from "lru-cache";
import type { Policy } from "../../../protocol/policy.ts";
import { segmentsOf } from "../../../protocol/topic-pattern.ts";
import { allows } from "../clients/scopes.ts";
import { type Rights, systemGroups, type User } from "../model.ts";
import type { JsonObject } from "../store.ts";
import { isActive } from "../users/account-status.ts";
import { type Category, type CompiledPolicy, compilePolicy, grants } from "./compile-policy.ts";
import { coversPolicy } from "./covers-policy.ts";
import { isDelegable } from "./delegation.ts";
import { type ResourceLookup, readsResources } from "./entity-rules.ts";
import { readablePolicy } from "./group-record.ts";
import type { GroupTable, KnownGroup } from "./group-table.ts";
import { haveCommonTopic, patternTree, stepBudget } from "./pattern-tree.ts";
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

/**
 * Permissions that are kept. Beyond it callers with the same rights may get several objects. What groups give is compiled
 * once for all of them, so most of an entry is the policy of its token.
 */
const capacity = 2_000;

export function createCallerPermissions({ groups, resources }: CallerPermissionsOptions): CallerPermissions {
  const made = new LRUCache<string, SenderPermissions>({ max: capacity });
  const compiled = new WeakMap<Policy, CompiledPolicy>();
  const compiledOf = (policy: Policy): Compiled => {
    const known = compiled.get(policy) ?? compilePolicy(policy, resources);
    compiled.set(policy, known);
    return { policy, compiled: known };
  };
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
      const found = made.get(key);
      if (found !== undefined) return found;
      const isAdmin = standing.isOwner || known.some(({ id }) => id === systemGroups.admin);
      const policies = isAdmin ? [everything] : known.map(({ policy }) => policy);
      const limit = tokenPolicy(token);
      const permissions = permissionsOf({
        isAdmin,
        hasApi,
        groups: policies.map(compiledOf),
        limit: limit && compiledOf(limit),
      });
      made.set(key, permissions);
      return permissions;
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

interface Compiled {
  readonly policy: Policy;
  readonly compiled: CompiledPolicy;
}

interface Parts {
  readonly isAdmin: boolean;
  readonly hasApi: boolean;
  /** What one of the groups grants is granted, as in Home Assistant, which merges their policies. */
  readonly groups: readonly Compiled[];
  /** The policy that the token is narrowed to: only what it grants too is allowed. */
  readonly limit: Compiled | undefined;
}

function permissionsOf({ isAdmin, hasApi, groups, limit }: Parts): SenderPermissions {
  const isGranted = (category: Category, thing: string, verb: Verb) =>
    groups.some(({ compiled }) => grants(compiled, category, thing, verb)) &&
    (limit === undefined || grants(limit.compiled, category, thing, verb));
  const limitTrees = limit === undefined ? [] : [limit.compiled.topicTrees];
  // Whoever's token is narrowed counts as a delegate, also the owner: the rest of the policy would be worthless otherwise.
  const isWhole = isAdmin && limit === undefined;
  return {
    isAdmin: isWhole && hasApi,
    mayUseEntity: (entityId, verb) => hasApi && isGranted("entities", entityId, verb),
    mayUseTopic: (topic, verb) => hasApi && isGranted("topics", topic, verb),
    mayUseSomeOf(pattern, verb) {
      if (!hasApi) return false;
      const wanted = patternTree([segmentsOf(pattern)]);
      const budget = stepBudget();
      return groups.some(({ compiled }) =>
        haveCommonTopic(
          [wanted, ...[compiled.topicTrees, ...limitTrees].map((trees) => trees[verb])],
          budget,
        ),
      );
    },
    // A token's scope is compared with the one that the command needs.
    mayCommand: (type) => (isWhole || isDelegable(type)) && isGranted("commands", type, "control"),
    covers: (inner) =>
      hasApi &&
      coversPolicy(
        groups.map(({ policy }) => policy),
        inner,
      ) &&
      (limit === undefined || coversPolicy([limit.policy], inner)),
  };
}
