import { recordKeys } from "../../record-keys.ts";
import type { Store } from "../../store.ts";
import { isActive } from "../../users/account-status.ts";
import { changeOwnerStep, readOwner } from "../../users/owner-changes.ts";
import { parseUser } from "../../users/user-record.ts";
import type { RecordRepairs } from "./repair-records.ts";

/**
 * Writes the last change of the owner again in a store that lost it. It is the one repair that gives a right, because
 * taking it from the owner before would leave nobody. Nothing is done if a later change has happened since, or if the
 * new owner is not in the store, or not active.
 */
export function createOwnerRepair({ store }: { readonly store: Store }): RecordRepairs["ofOwner"] {
  return async ({ userId, version }) => {
    const claim = await readOwner(store).catch(() => undefined);
    if (claim === undefined || claim.version >= version || claim.userId === userId) return undefined;
    const [previous, next] = await store.get([recordKeys.user(claim.userId), recordKeys.user(userId)]);
    const [before, after] = [previous && parseUser(previous), next && parseUser(next)];
    const isDamaged = previous !== undefined && before === undefined;
    if (next === undefined || after === undefined || !isActive(after) || isDamaged) return undefined;
    const stored = previous && before && { user: before, version: previous.version };
    const step = changeOwnerStep(claim, stored, { user: after, version: next.version }, version);
    return { step, revokes: null };
  };
}
