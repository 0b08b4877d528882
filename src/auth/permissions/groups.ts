import { type Policy, policyLimits } from "../../../protocol/policy.ts";
import { AuthError } from "../errors.ts";
import { newId } from "../ids.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import type { RevokeReceipt } from "../revocation/receipt.ts";
import type { Revocation } from "../revocation/revocation.ts";
import {
  type Checks,
  mergeSteps,
  readRecord,
  retryConflicts,
  type Step,
  type Store,
  unlessConflict,
} from "../store.ts";
import { createGroupMembers, type GroupMembers, type GroupMembersOptions } from "./group-members.ts";
import { deleteGroupStep, putGroupStep } from "./group-steps.ts";
import type { KnownGroup } from "./group-table.ts";
import { groupNotFound, requireGroup } from "./group-versions.ts";
import type { KnownGroups } from "./known-groups.ts";
import { requireGroupPolicy } from "./writable-policy.ts";

/** A group after a change, and when the change is in effect on all nodes. */
export interface GroupChange {
  readonly group: KnownGroup;
  readonly receipt: RevokeReceipt;
}

/**
 * Groups and their members. What `version` names is the group as it was read: another version is `conflict`, so nobody
 * overwrites what they have not seen. Membership is a part of the user's rights. The system's groups have members, and
 * are never changed: `not_allowed`. A group that does not exist is `not_found`.
 */
export interface Groups extends KnownGroups {
  /** Throws `invalid_policy`, `too_many_groups`. */
  create(request: {
    readonly name: string;
    readonly policy: Policy;
    readonly permit?: PermitPolicies | undefined;
  }): Promise<GroupChange>;
  /** Throws `invalid_policy`. */
  update(
    id: string,
    version: number,
    patch: {
      readonly name?: string | undefined;
      readonly policy?: Policy | undefined;
      readonly permit?: PermitPolicies | undefined;
    },
  ): Promise<GroupChange>;
  /**
   * One commit takes what the group gave from all of its members. Their records keep the id, which means nothing from
   * then on and is never used again.
   */
  delete(id: string, version: number, permit?: PermitPolicies): Promise<RevokeReceipt>;
  addMember: GroupMembers["add"];
  removeMember: GroupMembers["remove"];
}

/**
 * Rejects unless the sender of a change may do everything that the policies give: the one of before, and the one of after.
 * The commit makes the checks that it returns.
 */
export type PermitPolicies = (policies: readonly Policy[]) => Promise<Checks>;

export interface GroupsOptions {
  readonly store: Store;
  readonly known: KnownGroups;
  readonly revocation: Pick<Revocation, "track">;
  readonly demands: GroupMembersOptions["demands"];
  /** Called when a group was deleted. */
  readonly onDeleted: (groupId: string) => Promise<unknown>;
}

export function createGroups({ store, known, revocation, demands, onDeleted }: GroupsOptions): Groups {
  const put = async (
    id: string,
    recordVersion: number,
    content: { readonly name: string; readonly policy: Policy },
    also: Step,
  ): Promise<GroupChange> => {
    const receipt = await revocation.track((revocationId) =>
      mergeSteps(also, putGroupStep({ id, recordVersion }, content, revocationId)),
    );
    const group = await known.get(id);
    if (group === undefined) throw groupNotFound();
    return { group, receipt };
  };
  const members = createGroupMembers({ store, revocation, known, demands });
  return {
    ...known,
    async create({ name, policy, permit }) {
      requireGroupPolicy(policy);
      return await retryConflicts(async () => {
        const step = mergeSteps(await roomStep(store), await permitted(permit, [policy]));
        return await unlessConflict(put(newId(), 0, { name, policy }, step));
      });
    },
    async update(id, version, patch) {
      if (patch.policy !== undefined) requireGroupPolicy(patch.policy);
      const { state, recordVersion } = await requireGroup(store, id, version);
      const { name = state.content.name, policy = state.content.policy } = patch;
      const also = await permitted(patch.permit, [state.content.policy, policy]);
      return await put(id, recordVersion, { name, policy }, also);
    },
    async delete(id, version, permit) {
      const { recordVersion, state } = await requireGroup(store, id, version);
      const also = await permitted(permit, [state.content.policy]);
      const receipt = await revocation.track((revocationId) =>
        mergeSteps(also, deleteGroupStep({ id, recordVersion }, revocationId)),
      );
      await onDeleted(id);
      return receipt;
    },
    async addMember(membership) {
      const { user, sessionsEnded } = await members.add(membership);
      return { user: { ...user, groupIds: await known.among(user.groupIds) }, sessionsEnded };
    },
    removeMember: members.remove,
  };
}

async function permitted(permit: PermitPolicies | undefined, policies: readonly Policy[]): Promise<Step> {
  return permit === undefined ? {} : { check: await permit(policies) };
}

/** Only one group is created at a time, so that no race makes too many. */
async function roomStep(store: Store): Promise<Step> {
  const turn = await readRecord(store, recordKeys.groupTurn);
  const ids = await store.list(indexKeys.groups, { limit: policyLimits.groups });
  if (ids.length >= policyLimits.groups) throw new AuthError("too_many_groups");
  const key = recordKeys.groupTurn;
  return { check: [{ key, version: turn?.version ?? 0 }], put: [{ key, value: {} }] };
}
