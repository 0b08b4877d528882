import type { LogEvent, Rights, User } from "../model.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import type { Step } from "../store.ts";
import { userPut } from "./user-record.ts";
import { toStoredState } from "./user-state.ts";

type Changed = Extract<LogEvent, { type: "user_changed" }>;

/** A user as it was read, and the record's version. */
export interface StoredUser {
  readonly user: User;
  readonly version: number;
}

/** The part of a commit that creates a user. */
export function createUserStep(user: User): Step {
  return {
    check: [{ key: recordKeys.user(user.id), version: 0 }],
    put: [userPut(user)],
    link: [{ index: indexKeys.users, member: user.id }],
    log: [changed({ userId: user.id, change: "added" })],
  };
}

/**
 * The part of a commit that writes a user, if it has not changed since it was read. Durable if it decides on rights.
 * With `revocationId` the change can be followed.
 */
export function changeUserStep(before: StoredUser, after: User, revocationId?: string): Step {
  const { rightsVersion: _, ...decided } = after;
  const decides = !sameRights(before.user, after);
  const user = decides ? decided : { ...after, rightsVersion: rightsVersionOf(before) };
  return writeUserStep(before, user, decides ? rightsOf(after) : undefined, revocationId);
}

/** The same for rights that an earlier commit decided on: they keep its number. */
export function repeatUserChangeStep(
  before: StoredUser,
  after: User,
  decided: { readonly rights: Rights; readonly version: number },
): Step {
  const { rights, version } = decided;
  return writeUserStep(before, { ...after, rightsVersion: version }, { ...rights, version });
}

/**
 * The part of a commit that removes a user, if it has not changed since it was read. Not its credentials and
 * sessions.
 */
export function removeUserStep(userId: string, version: number): Step {
  return {
    check: [{ key: recordKeys.user(userId), version }],
    remove: [
      recordKeys.user(userId),
      recordKeys.passwordReset(userId),
      recordKeys.factors(userId),
      recordKeys.factorUses(userId),
      recordKeys.factorSetup(userId),
    ],
    unlink: [{ index: indexKeys.users, member: userId }],
    log: [changed({ userId, change: "removed" })],
  };
}

/** The number of the commit that decided on the user's rights. */
export function rightsVersionOf({ user, version }: StoredUser): number {
  return user.rightsVersion ?? version;
}

export function sameRights(a: Rights, b: Rights): boolean {
  const groups = ({ groupIds }: Rights) => [...groupIds].sort().join(" ");
  return a.state === b.state && a.localOnly === b.localOnly && groups(a) === groups(b);
}

type DecidedRights = Rights & { readonly version?: number };

function writeUserStep(
  { version }: StoredUser,
  user: User,
  rights: DecidedRights | undefined,
  revocationId?: string,
): Step {
  const followed = revocationId === undefined ? {} : { revocationId };
  const event = { userId: user.id, change: "updated", ...followed } as const;
  return {
    check: [{ key: recordKeys.user(user.id), version }],
    put: [userPut(user)],
    log: [
      changed(rights === undefined ? { ...event, keepsRights: true } : { ...event, rights: eventOf(rights) }),
    ],
    durable: rights !== undefined,
  };
}

function eventOf({ state, ...rights }: DecidedRights): NonNullable<Changed["rights"]> {
  return { ...rights, ...toStoredState(state) };
}

function rightsOf({ state, localOnly, groupIds }: User): Rights {
  return { state, localOnly, groupIds };
}

function changed({ rights, ...event }: Omit<Changed, "type">) {
  return { type: "user_changed", ...event, ...(rights === undefined ? {} : { rights: { ...rights } }) };
}
