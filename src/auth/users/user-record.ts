import { Type } from "typebox";
import { Compile } from "typebox/compile";

import { AuthError } from "../errors.ts";
import type { User } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import type { Checks, Step, Store, StoredRecord } from "../store.ts";
import { parseUserState, toStoredState, UserStateSchema } from "./user-state.ts";

/** Unknown fields are allowed: a newer node may have written them. */
const UserRecord = Compile(
  Type.Object({
    id: Type.String(),
    name: Type.Union([Type.String(), Type.Null()]),
    isOwner: Type.Boolean(),
    isActive: Type.Boolean(),
    state: Type.Optional(UserStateSchema),
    systemGenerated: Type.Boolean(),
    localOnly: Type.Boolean(),
    groupIds: Type.Array(Type.String()),
    createdAt: Type.Number(),
    rightsVersion: Type.Optional(Type.Number()),
  }),
);

/** Undefined for a damaged record: it authenticates nobody. */
export function parseUser({ value }: StoredRecord): User | undefined {
  if (!UserRecord.Check(value)) return undefined;
  const { isActive, state, ...user } = value;
  return { ...user, state: parseUserState({ isActive, state }) };
}

/** Throws `unavailable` for a damaged record. */
export function requireUser(record: StoredRecord): User {
  const user = parseUser(record);
  if (user !== undefined) return user;
  throw new AuthError("unavailable", { detail: "a user record is damaged" });
}

export function userPut(user: User): NonNullable<Step["put"]>[number] {
  return { key: recordKeys.user(user.id), value: { ...user, ...toStoredState(user.state) } };
}

export interface UserStatus {
  readonly user: User;
  readonly version: number;
  /** The version of the user's epoch record; 0 if it was never bumped. */
  readonly epoch: number;
}

/** Reads the user and the epoch at one moment. */
export async function readUserStatus(store: Store, userId: string): Promise<UserStatus | undefined> {
  const [user, epoch] = await store.get([recordKeys.user(userId), recordKeys.userEpoch(userId)]);
  return user && { user: requireUser(user), version: user.version, epoch: epoch?.version ?? 0 };
}

/** The checks of every commit that grants a user something: user and epoch have not changed. */
export function userStatusChecks(
  userId: string,
  at: { readonly version: number; readonly epoch: number },
): Checks {
  return [
    { key: recordKeys.user(userId), version: at.version },
    { key: recordKeys.userEpoch(userId), version: at.epoch },
  ];
}
