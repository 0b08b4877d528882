import { AuthError } from "../errors.ts";
import type { Credential } from "../model.ts";
import type { LocalLogins } from "../providers/homeassistant/local-logins.ts";
import { storedLoginName } from "../providers/homeassistant/login-name.ts";
import { localType } from "../providers/homeassistant/login-record.ts";
import type { ProviderRegistry } from "../providers/registry.ts";
import { recordKeys } from "../record-keys.ts";
import type { Revocation } from "../revocation/revocation.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { mergeSteps, retryConflicts, type Step, type Store } from "../store.ts";
import type { Credentials } from "./credentials.ts";
import { endCredential } from "./end-credential.ts";
import { isBeingRemoved, usableChecks } from "./usable-credential.ts";
import type { Users } from "./users.ts";

/** Credentials that their users, or administrators, remove. */
export interface CredentialRemovals {
  /**
   * Removes a credential of the user, and ends the sessions that it gave, also one that is being opened at the same
   * moment. Long-lived tokens stay. If it fails midway, the call can be repeated. With `keepLast`, and always for the
   * owner, the last credential that lets the user in cannot be removed, also by several calls at once. Throws
   * `not_found`, `last_credential`, `conflict`.
   */
  remove(userId: string, credentialId: string, options: { readonly keepLast: boolean }): Promise<void>;
  /**
   * The same for a login name of a local provider, the first one by default. Throws `user_not_found` too.
   */
  removeLocal(username: string, providerId?: string | null): Promise<void>;
  /** Whether the credential's provider is configured, so that it can let its user in. */
  isUsable(credential: Credential): boolean;
}

export interface RemovalTools {
  readonly store: Store;
  readonly credentials: Credentials;
  readonly users: Pick<Users, "read">;
  readonly sessions: Pick<Sessions, "list">;
  readonly revocation: Pick<Revocation, "revoke">;
  readonly registry: ProviderRegistry;
  /** Of a configured provider of that type. */
  readonly localLoginsOf: (providerId: string | null) => Pick<LocalLogins, "remove"> | undefined;
}

export function createCredentialRemovals(tools: RemovalTools): CredentialRemovals {
  const isUsable = ({ providerType, providerId }: Credential) =>
    tools.registry.find(providerType, providerId) !== undefined;
  const remove: CredentialRemovals["remove"] = async (userId, credentialId, { keepLast }) => {
    await retryConflicts(async () => {
      const owned = await tools.credentials.list(userId);
      const credential = owned.find(({ id }) => id === credentialId);
      if (credential === undefined) throw new AuthError("not_found");
      const user = await tools.users.read(userId);
      const isOwner = user?.user.isOwner === true;
      const others = owned.filter((each) => each !== credential);
      // Two removals at once check each other's.
      const staying = keepLast || isOwner ? await usableChecks(tools, others) : [];
      // A removal that was cut short can be completed: the login lets nobody in any more, and can then be replaced.
      if (staying === undefined && !(await isBeingRemoved(tools, credential)))
        throw new AuthError("last_credential");
      // Otherwise the user could become the owner in between.
      const unchanged = user && { check: [{ key: recordKeys.user(userId), version: user.version }] };
      return await removeOnce(tools, credential, mergeSteps({ check: staying ?? [] }, unchanged));
    });
  };
  return {
    isUsable,
    remove,
    async removeLocal(username, given) {
      const first = tools.registry.providers.find(({ type }) => type === localType)?.id ?? null;
      const providerId = given === undefined ? first : given;
      const name = await storedLoginName(tools.credentials, providerId, username);
      const found = await tools.credentials.find(localType, providerId, name);
      if (found !== undefined)
        await remove(found.credential.userId, found.credential.id, { keepLast: false });
      // What an earlier removal that was cut short has left, or nothing.
      else await tools.localLoginsOf(providerId)?.remove(username);
    },
  };
}

/** Undefined: a record changed meanwhile. */
async function removeOnce(
  tools: RemovalTools,
  credential: Credential,
  also: Step,
): Promise<true | undefined> {
  const { providerType, providerId, subject } = credential;
  const locals = providerType === localType ? tools.localLoginsOf(providerId) : undefined;
  try {
    if (locals === undefined) await removeUnlocal(tools, credential, also);
    else await locals.remove(subject, also);
    return true;
  } catch (error) {
    if (error instanceof AuthError && error.code === "conflict") return undefined;
    throw error;
  }
}

async function removeUnlocal(tools: RemovalTools, credential: Credential, also: Step): Promise<void> {
  const found = await tools.credentials.get(credential.id);
  if (found === undefined) throw new AuthError("not_found");
  const unchanged = { check: [{ key: recordKeys.credential(credential.id), version: found.version }] };
  await endCredential(tools, credential, mergeSteps(also, unchanged));
}
