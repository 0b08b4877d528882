import type { Peer, Principal } from "../model.ts";

/**
 * Administration of the local provider (`homeassistant`): login names and passwords. Login names are normalised by
 * NFKC, trim and lower case and must be given so; a user has at most one. Every change ends sessions through `revoke`.
 */
export interface LocalLogins {
  /** Throws `user_not_found`, `system_generated`, `username_already_exists`, `username_not_normalized`, `credential_exists`, `invalid_password`. */
  create(userId: string, username: string, password: string): Promise<void>;
  /** Removes login and credential and ends the sessions of that credential. Throws `user_not_found`. */
  remove(username: string): Promise<void>;
  /** Ends all other sessions of the user. Throws `credentials_not_found`, `invalid_current_password`, `invalid_password`, `overloaded`. */
  changeOwnPassword(principal: Principal, current: string, next: string, peer: Peer): Promise<void>;
  /** Ends all sessions of the user. Throws `user_not_found`, `credentials_not_found`, `invalid_password`. */
  setPassword(userId: string, password: string): Promise<void>;
  /** Keeps sessions: no right is taken. Throws as `create`. */
  changeUsername(userId: string, username: string): Promise<void>;
  usernameOf(userId: string): Promise<string | null>;
}
