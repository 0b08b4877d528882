import type { Clock } from "../clock/clock.ts";
import { AuthError } from "../errors.ts";
import type { FactorDemands } from "../factors/demands.ts";
import { newId } from "../ids.ts";
import type { PageRequest, User, UserState } from "../model.ts";
import { retireImported } from "../passwords/parameters-in-use.ts";
import type { UserChange } from "../permissions/delegation.ts";
import { type KnownGroups, requireGroups } from "../permissions/known-groups.ts";
import { indexKeys, recordKeys } from "../record-keys.ts";
import type { LogWriter } from "../revocation/log-writer.ts";
import type { Revocation } from "../revocation/revocation.ts";
import { type LoopYielder, sliceSize } from "../scheduling/loop-yielder.ts";
import { type Checks, mergeSteps, retryConflicts, type Store, unlessConflict } from "../store.ts";
import { isActive } from "./account-status.ts";
import type { CredentialRemoval } from "./credentials.ts";
import { applyDecidedRights } from "./decided-rights.ts";
import { createUserCache } from "./user-cache.ts";
import { changeUserStep, createUserStep, removeUserStep, sameRights } from "./user-changes.ts";
import { readUserStatus, requireUser } from "./user-record.ts";

export interface VersionedUser {
  readonly user: User;
  /** Store versions of the user record and of the user's epoch record. */
  readonly version: number;
  readonly epoch: number;
}

export interface UserPage {
  readonly users: readonly User[];
  readonly next: string | undefined;
}

export interface UserPatch {
  readonly name?: string | undefined;
  /**
   * Home Assistant's field: true activates, false deactivates an active user. A pending user stays pending at false,
   * because Home Assistant's clients send the field with every change of a user.
   */
  readonly isActive?: boolean | undefined;
  readonly state?: Exclude<UserState, "pending"> | undefined;
  readonly groupIds?: readonly string[] | undefined;
  readonly localOnly?: boolean | undefined;
}

/**
 * Users and their lifecycle, as in Home Assistant. A user is in the groups that exist: the id of a deleted one is left out. Deactivation and removal go through `revoke`. The owner can be
 * neither deactivated nor removed.
 */
export interface Users {
  /** Reads the store now. */
  read(userId: string): Promise<VersionedUser | undefined>;
  /** From this node's cache, which the log invalidates. For the guards of commands. */
  current(userId: string): Promise<User | undefined>;
  /** All users, oldest first. Yields to other work. */
  list(): Promise<readonly User[]>;
  /** Users in the order of their ids. Continue after `next` until it is undefined. */
  page(page: PageRequest): Promise<UserPage>;
  /** Throws `invalid_group`. */
  create(request: {
    readonly name: string;
    readonly groupIds?: readonly string[] | undefined;
    readonly localOnly?: boolean | undefined;
    /** `active` by default. */
    readonly state?: UserState | undefined;
    readonly permit?: PermitUserChange | undefined;
  }): Promise<User>;
  /**
   * A patch that changes nothing writes nothing, so it is no decision on rights (see `User.rightsVersion`). Throws
   * `not_found`, `invalid_group`, `cannot_modify_system_generated`, `cannot_deactivate_owner`.
   */
  update(userId: string, patch: UserPatch, permit?: PermitUserChange): Promise<User>;
  /** Removes user, credentials, logins and sessions. Throws `not_found`, `cannot_remove_owner`. */
  remove(userId: string, permit?: PermitUserChange): Promise<void>;
}

/**
 * Throws unless the change may be made. It is asked about the record that the commit checks, so nothing happens to the user
 * in between.
 */
export type PermitUserChange = (change: UserChange) => Promise<Checks>;

/** `isOwner`, or active and a member of system-admin. */
export function isAdmin(user: User): boolean {
  return user.isOwner || (isActive(user) && user.groupIds.includes("system-admin"));
}

export interface UsersOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly revocation: Revocation & LogWriter;
  readonly groups: Pick<KnownGroups, "existing" | "among">;
  readonly credentials: CredentialRemoval;
  readonly yielder: LoopYielder;
  readonly demands: Pick<FactorDemands, "commitChange" | "enforce">;
}

type ListingTools = Pick<UsersOptions, "store" | "yielder">;

export function createUsers(options: UsersOptions): Users {
  const { store, clock, revocation, groups } = options;
  const read = async (userId: string) => {
    const found = await readUserStatus(store, userId);
    // Asked after the read, so an entry that arrived meanwhile counts.
    const { view } = revocation;
    const user = found && applyDecidedRights(found, view.decidedRights(userId), view.ownerChange());
    return found && user && { ...found, user };
  };
  const shown = async (user: User): Promise<User> => {
    const groupIds = await groups.among(user.groupIds);
    return groupIds === user.groupIds ? user : { ...user, groupIds };
  };
  const cached = createUserCache({ revocation, read: async (userId) => (await read(userId))?.user });
  return {
    async read(userId) {
      const found = await read(userId);
      return found && { ...found, user: await shown(found.user) };
    },
    async current(userId) {
      const user = await cached(userId);
      return user && (await shown(user));
    },
    list: () => listUsers(options, shown),
    async page(request) {
      const { users, next } = await readUserPage(options, request);
      return { users: await Promise.all(users.map(shown)), next };
    },
    async create({ name, groupIds = [], localOnly = false, state = "active", permit }) {
      await requireGroups(groups, groupIds);
      const user = newUser({ name, groupIds, localOnly, state, createdAt: clock.now() });
      return await retryConflicts(async () => {
        const check = await permit?.({ before: undefined, after: user });
        const outcome = await revocation.commit(mergeSteps(check && { check }, createUserStep(user)));
        return outcome.ok ? user : undefined;
      });
    },
    async update(userId, patch, permit) {
      if (patch.groupIds !== undefined) await requireGroups(groups, patch.groupIds);
      const user = await retryConflicts(() => updateOnce(options, userId, patch, permit));
      return await shown(user);
    },
    remove: (userId, permit) => removeUser(options, userId, permit),
  };
}

/** A user with a new id; active by default. */
export function newUser(about: {
  readonly name: string;
  readonly groupIds: readonly string[];
  readonly localOnly?: boolean | undefined;
  readonly isOwner?: boolean;
  readonly systemGenerated?: boolean;
  readonly state?: UserState;
  readonly createdAt: number;
}): User {
  const { name, groupIds, localOnly = false, isOwner = false, state = "active", createdAt } = about;
  const { systemGenerated = false } = about;
  return {
    id: newId(),
    name,
    isOwner,
    state,
    systemGenerated,
    localOnly,
    groupIds: [...new Set(groupIds)],
    createdAt,
  };
}

async function listUsers(
  tools: ListingTools,
  shown: (user: User) => Promise<User>,
): Promise<readonly User[]> {
  const users: User[] = [];
  let after: string | undefined;
  do {
    const page = await readUserPage(tools, { after, limit: sliceSize });
    users.push(...(await Promise.all(page.users.map(shown))));
    after = page.next;
  } while (after !== undefined);
  return users.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
}

async function readUserPage(
  { store, yielder }: ListingTools,
  { after, limit }: PageRequest,
): Promise<UserPage> {
  await yielder.next();
  const from = after === undefined ? {} : { after };
  const ids = await store.list(indexKeys.users, { limit, ...from });
  if (ids.length === 0) return { users: [], next: undefined };
  const records = await store.get(ids.map(recordKeys.user));
  const users = records.flatMap((record) => (record === undefined ? [] : [requireUser(record)]));
  return { users, next: ids.length < limit ? undefined : ids.at(-1) };
}

/** Undefined: the record changed meanwhile. */
async function updateOnce(
  { store, revocation, demands }: UsersOptions,
  userId: string,
  patch: UserPatch,
  permit: PermitUserChange | undefined,
): Promise<User | undefined> {
  const before = await readUserStatus(store, userId);
  const after = patched(before, patch);
  const check = await permit?.({ before: before?.user, after });
  if (before === undefined || sameUser(before.user, after)) {
    // An earlier call may have failed midway.
    if (patch.groupIds !== undefined) await demands.enforce(userId);
    return after;
  }
  const writing = mergeSteps(check && { check }, changeUserStep(before, after));
  if (isActive(before.user) && !isActive(after)) {
    const target = { kind: "user", userId } as const;
    const work = revocation.revoke(target, "user_deactivated", { also: writing });
    return (await unlessConflict(work)) && after;
  }
  const done =
    patch.groupIds === undefined
      ? (await revocation.commit(writing)).ok
      : (await demands.commitChange(after, writing)) !== undefined;
  return done ? after : undefined;
}

/** The user after the patch. Throws if the patch is not allowed. */
function patched(before: VersionedUser | undefined, patch: UserPatch): User {
  if (before === undefined) throw new AuthError("not_found", { publicMessage: "User not found" });
  const { user } = before;
  if (user.systemGenerated) throw new AuthError("cannot_modify_system_generated");
  const state = patchState(user.state, patch);
  if (user.isOwner && state === "deactivated") throw new AuthError("cannot_deactivate_owner");
  return {
    ...user,
    name: patch.name ?? user.name,
    state,
    localOnly: patch.localOnly ?? user.localOnly,
    groupIds: patch.groupIds === undefined ? user.groupIds : [...new Set(patch.groupIds)],
  };
}

function patchState(before: UserState, { isActive, state }: UserPatch): UserState {
  if (state !== undefined) return state;
  if (isActive === undefined || (!isActive && before === "pending")) return before;
  return isActive ? "active" : "deactivated";
}

function sameUser(a: User, b: User): boolean {
  return a.name === b.name && sameRights(a, b);
}

async function removeUser(
  options: UsersOptions,
  userId: string,
  permit: PermitUserChange | undefined,
): Promise<void> {
  const { store, revocation, credentials } = options;
  await retryConflicts(async () => {
    const before = await readUserStatus(store, userId);
    if (before === undefined) throw new AuthError("not_found", { publicMessage: "User not found" });
    const unlinking = await credentials.unlinkAllStep(userId);
    const check = await permit?.({ before: before.user, after: undefined });
    if (before.user.isOwner) throw new AuthError("cannot_remove_owner");
    const also = mergeSteps(check && { check }, removeUserStep(userId, before.version), unlinking);
    const target = { kind: "user", userId } as const;
    return await unlessConflict(revocation.revoke(target, "user_removed", { also }));
  });
  // Removes a login that was linked between the read of the list and the removal of the user. None can follow.
  const late = await credentials.unlinkAllStep(userId);
  if (late !== undefined) await store.commit(late);
  // The user's may have been the last imported hash.
  await retireImported(store);
}
