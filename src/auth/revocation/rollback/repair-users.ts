import { recordKeys } from "../../record-keys.ts";
import { mergeSteps, readRecord, type Step, type Store, type StoredRecord } from "../../store.ts";
import { isActive } from "../../users/account-status.ts";
import type { CredentialRemoval } from "../../users/credentials.ts";
import { restrictRights } from "../../users/decided-rights.ts";
import {
  removeUserStep,
  repeatUserChangeStep,
  rightsVersionOf,
  sameRights,
} from "../../users/user-changes.ts";
import { parseUser } from "../../users/user-record.ts";
import type { RightsDecision } from "../view.ts";
import type { RecordRepairs, Repair } from "./repair-records.ts";

export interface UserRepairTools {
  readonly store: Store;
  readonly credentials: CredentialRemoval;
}

/**
 * Repairs a user's record in a store that went back in time. If the user was removed, the record and the logins are
 * removed again. Otherwise activation, remote access and more powerful groups that the user had lost are removed
 * again, unless a later commit has decided on the rights.
 *
 * It only removes rights: a right that was granted and then lost stays lost. A damaged record does not block the
 * recovery; nobody is authenticated with it. It never removes an owner (see `Users`).
 */
export function createUserRepair(tools: UserRepairTools): RecordRepairs["ofUser"] {
  return async (userId, decision) => {
    const record = await readRecord(tools.store, recordKeys.user(userId));
    return decision.rights === null
      ? repairRemoval(tools, userId, record)
      : repairRights(record, decision.version, decision.rights);
  };
}

async function repairRemoval(
  { credentials }: UserRepairTools,
  userId: string,
  record: StoredRecord | undefined,
): Promise<Repair | undefined> {
  if (record !== undefined && parseUser(record)?.isOwner === true) return undefined;
  const logins = await credentials.unlinkAllStep(userId);
  if (record === undefined) return logins && { step: logins, revokes: null };
  const step = mergeSteps(removeUserStep(userId, record.version), logins);
  return { step, revokes: { target: { kind: "user", userId }, cause: "user_removed" } };
}

function repairRights(
  record: StoredRecord | undefined,
  version: number,
  rights: NonNullable<RightsDecision["rights"]>,
): Repair | undefined {
  const user = record && parseUser(record);
  if (record === undefined || user === undefined) return undefined;
  const before = { user, version: record.version };
  if (rightsVersionOf(before) >= version) return undefined;
  const after = restrictRights(user, rights);
  if (sameRights(user, after)) return undefined;
  const step: Step = repeatUserChangeStep(before, after, { rights, version });
  if (!isActive(user) || isActive(after)) return { step, revokes: null };
  return { step, revokes: { target: { kind: "user", userId: user.id }, cause: "user_deactivated" } };
}
