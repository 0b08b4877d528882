import type { Group, User } from "../model.ts";
import type { PageRequest } from "../page.ts";

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
  readonly name?: string;
  readonly isActive?: boolean;
  readonly groupIds?: readonly string[];
  readonly localOnly?: boolean;
}

/** Users and their lifecycle (reference 1.2). Deactivation and removal go through `revoke`. */
export interface Users {
  /** As the store has it now. */
  read(userId: string): Promise<VersionedUser | undefined>;
  /** From this node's cache, which the log invalidates; for every command's guard. */
  current(userId: string): Promise<User | undefined>;
  /** Everybody, oldest first. Gives way to other work on the way. */
  list(): Promise<readonly User[]>;
  /** Users in the order of their ids; go on after `next` until it is undefined. */
  page(page: PageRequest): Promise<UserPage>;
  /** Throws `invalid_group`. */
  create(request: {
    readonly name: string;
    readonly groupIds?: readonly string[];
    readonly localOnly?: boolean;
  }): Promise<User>;
  /**
   * What changes nothing writes nothing, and so decides nothing either (see `User.rightsVersion`). Throws `not_found`,
   * `invalid_group`, `cannot_modify_system_generated`, `cannot_deactivate_owner`.
   */
  update(userId: string, patch: UserPatch): Promise<User>;
  /** Removes user, credentials, logins and sessions. Throws `not_found`, `cannot_remove_owner`. */
  remove(userId: string): Promise<void>;
}

/** `isOwner`, or active and a member of system-admin. */
export function isAdmin(user: User): boolean {
  return user.isOwner || (user.isActive && user.groupIds.includes("system-admin"));
}

/** Groups: the three of the system; membership is on the user. */
export interface Groups {
  list(): Promise<readonly Group[]>;
  exists(groupIds: readonly string[]): Promise<boolean>;
}
