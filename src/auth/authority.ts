import type { Authentication } from "./authentication.ts";
import type { KeysDropped } from "./key-dropping.ts";
import type { LoginFlows } from "./login/login-flows.ts";
import type { LocalLogins } from "./providers/local-logins.ts";
import type { Revocation } from "./revocation/revocation.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { AuthorizationCodes } from "./tokens/authorization-codes.ts";
import type { Keyring } from "./tokens/keyring.ts";
import type { SignedPaths } from "./tokens/signed-paths.ts";
import type { Credentials } from "./users/credentials.ts";
import type { Onboarding } from "./users/onboarding.ts";
import type { Groups, Users } from "./users/users.ts";

/** The domain as everything outside src/auth sees it. Composed here, adds no rules of its own. */
export interface Authority {
  readonly authentication: Authentication;
  readonly sessions: Sessions;
  readonly codes: AuthorizationCodes;
  readonly signedPaths: SignedPaths;
  readonly users: Users;
  readonly groups: Groups;
  readonly credentials: Credentials;
  readonly logins: LoginFlows;
  readonly localLogins: LocalLogins;
  readonly onboarding: Onboarding;
  readonly keyring: Keyring;
  /** Throws all signing keys away at once, for one new key. */
  dropKeys(): Promise<KeysDropped>;
  readonly revocation: Revocation;
  /** Passwords that wait for a thread, for metrics. */
  readonly load: { readonly passwordsWaiting: number };
  close(): Promise<void>;
}
