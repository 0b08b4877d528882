import type { Clock } from "../../clock/clock.ts";
import { AuthError } from "../../errors.ts";
import type { Credential } from "../../model.ts";
import type { Passwords } from "../../passwords/passwords.ts";
import type { KnownGroups } from "../../permissions/known-groups.ts";
import type { LogWriter } from "../../revocation/log-writer.ts";
import type { Revocation } from "../../revocation/revocation.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Store } from "../../store.ts";
import type { Credentials } from "../../users/credentials.ts";
import type { Users } from "../../users/users.ts";
import { type LocalLogin, type LocalProviderId, localType, readLocalLogin } from "./login-record.ts";

/** What the administration of one provider's local logins needs. */
export interface LocalLoginTools {
  readonly providerId: LocalProviderId;
  readonly store: Store;
  readonly passwords: Passwords;
  readonly credentials: Pick<Credentials, "find" | "getIfValid" | "list" | "linkStep" | "unlinkStep">;
  readonly users: Pick<Users, "read">;
  readonly groups: Pick<KnownGroups, "existing">;
  readonly sessions: Pick<Sessions, "list">;
  readonly revocation: Pick<Revocation, "revoke"> & LogWriter;
  readonly clock: Clock;
}

export interface OwnLogin {
  readonly credential: Credential;
  readonly login: LocalLogin;
  readonly version: number;
}

/** True for a credential of any provider of this type. */
export function isLocalCredential({ providerType }: Credential): boolean {
  return providerType === localType;
}

export function isLoginOf(providerId: LocalProviderId): (credential: Credential) => boolean {
  return (credential) => isLocalCredential(credential) && credential.providerId === providerId;
}

/**
 * The credential that a user has at the provider, and the login behind it. Throws `credentials_not_found`, also
 * while it is removed.
 */
export async function ownLogin(tools: LocalLoginTools, userId: string): Promise<OwnLogin> {
  const credential = (await tools.credentials.list(userId)).find(isLoginOf(tools.providerId));
  const found = credential && (await readLocalLogin(tools.store, tools.providerId, credential.subject));
  const usable = found?.login.credentialId === credential?.id && found?.login.closed === false;
  if (credential === undefined || found === undefined || !usable) {
    throw new AuthError("credentials_not_found");
  }
  return { credential, login: found.login, version: found.version };
}
