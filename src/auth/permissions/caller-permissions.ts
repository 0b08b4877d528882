import { LRUCache } from "lru-cache";
import type { Policy } from "../../../protocol/policy.ts";
import { segmentsOf } from "../../../protocol/topic-pattern.ts";
import { allows } from "../clients/scopes.ts";
import { type Rights, systemGroups, type User } from "../model.ts";
import { isActive } from "../users/account-status.ts";
import { type CompiledPolicy, compilePolicy, grants } from "./compile-policy.ts";
import { coversPolicy } from "./covers-policy.ts";
import { isDelegable } from "./delegation.ts";
import { type ResourceLookup, readsResources } from "./entity-rules.ts";
import type { GroupTable, KnownGroup } from "./group-table.ts";
import { mergePolicies } from "./merge-policies.ts";
import { haveCommonTopic, patternTree } from "./pattern-tree.ts";
import type { SenderPermissions } from "./permissions.ts";
import { allSystemGroups } from "./system-groups.ts";

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

/** What narrows a token. */
export interface TokenLimits {
  readonly scope: string | null;
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
      if (standing === undefined || !(standing.isActive || standing.isOwner)) return noPermissions;
      const known = knownGroups(groups, standing);
      const hasApi = allows(token.scope, "api");
      const usesResources = known.some(({ policy }) => readsResources(policy.entities));
      const key = [
        standing.isOwner ? "owner" : "",
        hasApi ? "api" : "",
        usesResources ? resources.revision : "",
        ...known.map(({ id, revision }) => `${id}@${revision}`),
      ].join(" ");
      const found = compiled.get(key);
      if (found !== undefined) return found;
      const made = compile(standing.isOwner, known, hasApi, resources);
      compiled.set(key, made);
      return made;
    },
  };
}

/** A group that is not known gives nothing. The owner is above all of them. */
function knownGroups(
  groups: Pick<GroupTable, "get">,
  { isOwner, groupIds }: Standing,
): readonly KnownGroup[] {
  if (isOwner) return [];
  return [...new Set(groupIds)]
    .sort()
    .map((id) => groups.get(id))
    .filter((group) => group !== undefined);
}

const everything: Policy = Object.assign(
  {},
  allSystemGroups.find(({ id }) => id === systemGroups.admin)?.policy,
);

function compile(
  isOwner: boolean,
  groups: readonly KnownGroup[],
  hasApi: boolean,
  resources: ResourceLookup,
): SenderPermissions {
  const isAdmin = isOwner || groups.some(({ id }) => id === systemGroups.admin);
  const policy = isAdmin ? everything : mergePolicies(groups.map((group) => group.policy));
  return permissionsOf({ isAdmin, hasApi, policy, compiled: compilePolicy(policy, resources) });
}

interface Parts {
  readonly isAdmin: boolean;
  readonly hasApi: boolean;
  readonly policy: Policy;
  readonly compiled: CompiledPolicy;
}

function permissionsOf({ isAdmin, hasApi, policy, compiled }: Parts): SenderPermissions {
  return {
    isAdmin: isAdmin && hasApi,
    mayUseEntity: (entityId, verb) => hasApi && grants(compiled, "entities", entityId, verb),
    mayUseTopic: (topic, verb) => hasApi && grants(compiled, "topics", topic, verb),
    mayUseSomeOf: (pattern, verb) =>
      hasApi && haveCommonTopic([patternTree([segmentsOf(pattern)]), compiled.topicTrees[verb]]),
    // A token's scope is compared with the one that the command needs.
    mayCommand: (type) => (isAdmin || isDelegable(type)) && grants(compiled, "commands", type, "control"),
    covers: (inner) => hasApi && coversPolicy(policy, inner),
  };
}
