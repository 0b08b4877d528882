import type { Credential } from "../model.ts";
import { localLoginKey, localType, readLocalLogin } from "../providers/homeassistant/login-record.ts";
import type { ProviderRegistry } from "../providers/registry.ts";
import { recordKeys } from "../record-keys.ts";
import type { Checks, Store } from "../store.ts";
import type { Credentials } from "./credentials.ts";

export interface UsabilityTools {
  readonly store: Store;
  readonly credentials: Pick<Credentials, "get">;
  readonly registry: Pick<ProviderRegistry, "find">;
}

/**
 * The checks of a commit that relies on one of these credentials to let its user in. A local login is closed by the
 * first of the two commits that remove it, so its record is checked too. Undefined: none of them lets the user in.
 */
export async function usableChecks(
  tools: UsabilityTools,
  owned: readonly Credential[],
): Promise<Checks | undefined> {
  for (const credential of owned) {
    const checks = await checksOf(tools, credential);
    if (checks !== undefined) return checks;
  }
  return undefined;
}

/** A local login that was closed to be removed. It is never opened again. */
export async function isBeingRemoved(
  { store }: Pick<UsabilityTools, "store">,
  { id, providerType, providerId, subject }: Credential,
): Promise<boolean> {
  if (providerType !== localType) return false;
  const local = await readLocalLogin(store, providerId, subject);
  return local?.login.credentialId === id && local.login.closed;
}

async function checksOf(
  { store, credentials, registry }: UsabilityTools,
  { id, providerType, providerId, subject }: Credential,
): Promise<Checks | undefined> {
  const provider = registry.find(providerType, providerId);
  // What is good from some addresses only is no way in to rely on.
  if (provider === undefined || provider.admits !== undefined || provider.isUnreliable) return undefined;
  const found = await credentials.get(id);
  if (found === undefined) return undefined;
  const itself = { key: recordKeys.credential(id), version: found.version };
  if (providerType !== localType) return [itself];
  const local = await readLocalLogin(store, providerId, subject);
  if (local === undefined || local.login.credentialId !== id) return undefined;
  if (local.login.closed || local.login.replaced === true) return undefined;
  return [itself, { key: localLoginKey(providerId, subject), version: local.version }];
}
