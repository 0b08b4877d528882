import { Type } from "typebox";
import { Compile } from "typebox/compile";

import { AuthError } from "../errors.ts";
import type { LogEvent, User } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { OwnerChange } from "../revocation/view.ts";
import { mergeSteps, readRecord, type Step, type Store } from "../store.ts";
import { rightsVersionOf, type StoredUser } from "./user-changes.ts";
import { userPut } from "./user-record.ts";

const OwnerRecord = Compile(Type.Object({ user_id: Type.String() }));

export interface OwnerClaim {
  readonly userId: string;
  readonly version: number;
}

/** Who owns the installation. Undefined before the set-up. */
export async function readOwner(store: Pick<Store, "get">): Promise<OwnerClaim | undefined> {
  const record = await readRecord(store, recordKeys.owner);
  if (record === undefined) return undefined;
  if (!OwnerRecord.Check(record.value))
    throw new AuthError("unavailable", { detail: "the owner's record is damaged" });
  return { userId: record.value.user_id, version: record.version };
}

/**
 * The part of a commit that makes another user the owner. It checks the owner's record and both users, so whatever
 * happens at the same time, exactly one user is the owner. Neither user's other rights change. `previous` is undefined
 * if the record of the owner before is gone. `version`: of a transfer that is written again.
 */
export function changeOwnerStep(
  claim: OwnerClaim,
  previous: StoredUser | undefined,
  next: StoredUser,
  version?: number,
): Step {
  const event: LogEvent = {
    type: "owner_changed",
    userId: next.user.id,
    previousId: claim.userId,
    ...(version === undefined ? {} : { version }),
  };
  return mergeSteps(
    {
      check: [{ key: recordKeys.owner, version: claim.version }],
      put: [{ key: recordKeys.owner, value: { user_id: next.user.id } }],
    },
    previous === undefined
      ? { check: [{ key: recordKeys.user(claim.userId), version: 0 }] }
      : writeStep(previous, false),
    writeStep(next, true),
    { log: [{ ...event }], durable: true },
  );
}

function writeStep(before: StoredUser, isOwner: boolean): Step {
  const { id } = before.user;
  const after: User = { ...before.user, isOwner, rightsVersion: rightsVersionOf(before) };
  const event: LogEvent = { type: "user_changed", userId: id, change: "updated", keepsRights: true };
  return {
    check: [{ key: recordKeys.user(id), version: before.version }],
    put: [userPut(after)],
    log: [{ ...event }],
  };
}

/** The user of a record that was read, who is not the owner if the log says that another user became it since. */
export function withoutLostOwnership({ user, version }: StoredUser, latest: OwnerChange | undefined): User {
  const lost = latest !== undefined && latest.userId !== user.id && version < latest.version;
  return user.isOwner && lost ? { ...user, isOwner: false } : user;
}
