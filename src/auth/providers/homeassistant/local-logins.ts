import type { AuthError } from "../../errors.ts";
import type { Peer, Principal, User } from "../../model.ts";
import { retireParameters } from "../../passwords/parameters-in-use.ts";
import type { RecordKey, Step } from "../../store.ts";
import { createAttempts } from "../../throttling/attempts.ts";
import { passwordChangeBudget } from "../../throttling/budget.ts";
import { changeOwnPassword, setPassword } from "./change-password.ts";
import { type ImportOptions, importUsers, type UsersImported, type UserToImport } from "./import-users.ts";
import { dropImported, type ImportedLogin, listImported } from "./imported-logins.ts";
import { storedLoginName } from "./login-name.ts";
import { localType } from "./login-record.ts";
import { createLogin, createUserWithLogin, loginConflict, prepareLogin } from "./new-login.ts";
import { isLoginOf, type LocalLoginTools } from "./own-login.ts";
import { removeLogin } from "./remove-login.ts";
import { renameLogin } from "./rename-login.ts";
import { cancelResetCode, createResetCode, type IssuedResetCode } from "./reset-codes.ts";
import { findUsedParameters } from "./used-parameters.ts";

export interface NewUserWithLogin {
  readonly name: string;
  readonly username: string;
  readonly password: string;
  readonly groupIds: readonly string[];
  readonly localOnly?: boolean;
}

/**
 * Administration of one local provider (`homeassistant`): login names and passwords. Login names are normalised by
 * NFKC, trim and case folding and must be given so; a user has at most one. Every change ends sessions through `revoke`.
 */
export interface LocalLogins {
  /**
   * Throws `user_not_found`, `system_generated`, `username_already_exists`, `username_not_normalized`,
   * `invalid_username`, `credential_exists`, `invalid_password`, `overloaded`, `conflict`.
   */
  create(userId: string, username: string, password: string): Promise<void>;
  /**
   * Creates a new active user and a login, or neither. Throws `invalid_group` and what `create` throws of login and
   * password.
   */
  createUser(request: NewUserWithLogin): Promise<User>;
  /**
   * The part of a commit that creates a login for a user whom the same commit creates. Its checks make the name
   * unique; `conflictOf` explains a failed one. Throws `invalid_username`, `username_not_normalized`,
   * `username_already_exists`, `invalid_password`, `overloaded`.
   */
  prepareLogin(userId: string, username: string, password: string): Promise<Step>;
  /**
   * Creates users with hashes of another program. Everything is checked first: with problems, or with `dryRun`, nothing
   * is written. Throws `conflict`.
   */
  importUsers(users: readonly UserToImport[], options?: ImportOptions): Promise<UsersImported>;
  /**
   * Makes a code with which the user sets a new password at a login, once, within a day. It takes the place of an earlier
   * one. `byOwner`: the owner or the operator makes it; it is worth nothing for the owner otherwise. Throws
   * `user_not_found`, `credentials_not_found`.
   */
  createResetCode(userId: string, byOwner: boolean): Promise<IssuedResetCode>;
  /** False if there was no live code. Throws `user_not_found`. */
  cancelResetCode(userId: string): Promise<boolean>;
  /** The logins whose password is still an imported hash, of every provider of this type. */
  listImported(): Promise<readonly ImportedLogin[]>;
  /**
   * Removes an imported hash: nobody logs in with that password any more, until a new one is set, and the sessions
   * of the user end. False if the user has a verifier by now. Throws `credentials_not_found`, `conflict`.
   */
  dropImported(userId: string): Promise<boolean>;
  /**
   * Removes login and credential and ends the sessions of that credential, also one that is being opened at the same
   * moment. The user's long-lived tokens stay. If it fails midway, the login can no longer be used, and the call can
   * be repeated. `also` is committed with the removal of a login that somebody has. Throws `user_not_found`,
   * `conflict`.
   */
  remove(username: string, also?: Step): Promise<void>;
  /**
   * Ends all other sessions of the user. Throws `credentials_not_found`, `invalid_current_password`,
   * `invalid_password`, `rate_limited` (after 5 wrong ones, then one a minute), `overloaded`, `conflict`.
   */
  changeOwnPassword(principal: Principal, current: string, next: string, peer: Peer): Promise<void>;
  /**
   * Ends all sessions of the user. Throws `user_not_found`, `credentials_not_found`, `invalid_password`,
   * `overloaded`, `conflict`.
   */
  setPassword(userId: string, password: string): Promise<void>;
  /**
   * Sessions stay: no right is removed. Throws `user_not_found`, `credentials_not_found`, `conflict`, and the
   * username errors of `create`.
   */
  changeUsername(userId: string, username: string): Promise<void>;
  /**
   * Removes the scrypt parameters that no verifier has any more; each login costs a run with them until then. Reads
   * every login if more than one set is known.
   */
  retireParameters(): Promise<void>;
  /** The error for a commit with `prepareLogin`'s step that failed; `conflict` if none of its checks failed. */
  conflictOf(conflict: RecordKey, userId: string, username: string): AuthError;
  usernameOf(userId: string): Promise<string | null>;
  /** The user of a login name, however it is spelled. */
  userIdOf(username: string): Promise<string | undefined>;
}

/** Composes the administration of a local provider. */
export function createLocalLogins(tools: LocalLoginTools): LocalLogins {
  const { store, clock } = tools;
  const charge = createAttempts({ store, clock, budget: passwordChangeBudget });
  return {
    create: (userId, username, password) => createLogin(tools, userId, username, password),
    createUser: (request) => createUserWithLogin(tools, request),
    prepareLogin: (userId, username, password) => prepareLogin(tools, userId, username, password),
    importUsers: (users, options) => importUsers(tools, users, options),
    createResetCode: (userId, byOwner) => createResetCode(tools, userId, byOwner),
    cancelResetCode: (userId) => cancelResetCode(tools, userId),
    listImported: () => listImported(tools),
    dropImported: (userId) => dropImported(tools, userId),
    remove: (username, also) => removeLogin(tools, username, also),
    changeOwnPassword: (principal, current, next) =>
      changeOwnPassword(tools, charge, principal, { current, next }),
    setPassword: (userId, password) => setPassword(tools, userId, password),
    changeUsername: (userId, username) => renameLogin(tools, userId, username),
    retireParameters: () => retireParameters(tools.store, () => findUsedParameters(tools)),
    conflictOf: (conflict, userId, username) => loginConflict(tools, conflict, userId, username),
    async usernameOf(userId) {
      const owned = await tools.credentials.list(userId);
      return owned.find(isLoginOf(tools.providerId))?.subject ?? null;
    },
    async userIdOf(username) {
      const stored = await storedLoginName(tools.credentials, tools.providerId, username);
      const found = await tools.credentials.find(localType, tools.providerId, stored);
      return found?.credential.userId;
    },
  };
}
