import { recordKeys } from "../../record-keys.ts";
import { mergeSteps, readRecord, type Step, type Store, type StoredRecord } from "../../store.ts";
import type { CredentialRemoval } from "../../users/credentials.ts";
import { repaired } from "../../users/decided-rights.ts";
import { changingUserAgain, removingUser, rightsVersionOf, sameRights } from "../../users/user-changes.ts";
import { readableUser } from "../../users/user-record.ts";
import type { RightsDecision } from "../view.ts";
import type { RecordRepairs, Repair } from "./repair-records.ts";

export interface UserRepairTools {
  readonly store: Store;
  readonly credentials: CredentialRemoval;
}

/**
 * What a user has in a store that went back in time, and had lost: nothing of it, once the user was removed; else
 * activation, logins from elsewhere and the more powerful groups, unless a later commit has decided on the rights.
 *
 * It only takes: a right that was given and is lost stays lost. A damaged record keeps nothing up; nobody is let in on it.
 * From the owner nothing is taken that never was (see `Users`).
 */
export function createUserRepair(tools: UserRepairTools): RecordRepairs["ofUser"] {
  return async (userId, cut) => {
    const record = await readRecord(tools.store, recordKeys.user(userId));
    return cut.rights === null
      ? repairRemoval(tools, userId, record)
      : repairRights(record, cut.version, cut.rights);
  };
}

async function repairRemoval(
  { credentials }: UserRepairTools,
  userId: string,
  record: StoredRecord | undefined,
): Promise<Repair | undefined> {
  if (record !== undefined && readableUser(record)?.isOwner === true) return undefined;
  const logins = await credentials.unlinkingAll(userId);
  if (record === undefined) return logins && { step: logins, revokes: null };
  const step = mergeSteps(removingUser(userId, record.version), logins);
  return { step, revokes: { target: { kind: "user", userId }, cause: "user_removed" } };
}

function repairRights(
  record: StoredRecord | undefined,
  version: number,
  rights: NonNullable<RightsDecision["rights"]>,
): Repair | undefined {
  const user = record && readableUser(record);
  if (record === undefined || user === undefined) return undefined;
  const before = { user, version: record.version };
  if (rightsVersionOf(before) >= version) return undefined;
  const after = repaired(user, rights);
  if (sameRights(user, after)) return undefined;
  const step: Step = changingUserAgain(before, after, { rights, version });
  if (!user.isActive || after.isActive) return { step, revokes: null };
  return { step, revokes: { target: { kind: "user", userId: user.id }, cause: "user_deactivated" } };
}
