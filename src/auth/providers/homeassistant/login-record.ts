import { AuthError } from "../../errors.ts";
import { isImported } from "../../passwords/imported/imported-hash.ts";
import { parametersIn } from "../../passwords/parameters-in-use.ts";
import type { StoredPassword } from "../../passwords/passwords.ts";
import { storedPasswordFromJson, storedPasswordToJson } from "../../passwords/verifier.ts";
import { indexKeys, providerKey, recordKeys } from "../../record-keys.ts";
import { type JsonObject, type RecordKey, readRecord, type Step, type Store } from "../../store.ts";

/**
 * Home Assistant's name of the type. Several providers of this type differ by id, and each has its own login names.
 */
export const localType = "homeassistant";
/** The id of a provider of this type; null for the only one. */
export type LocalProviderId = string | null;

/** The record of a login name. Logins are decided on it, and their commits check its version. */
export interface LocalLogin {
  readonly providerId: LocalProviderId;
  readonly username: string;
  readonly credentialId: string;
  /** An imported hash until the first login by form, see `imported/imported-hash.ts`. */
  readonly verifier: StoredPassword;
  readonly changedAt: number;
  /** The login is being removed: nobody logs in with it any more, and its sessions will end. */
  readonly closed: boolean;
  /**
   * The password was changed, and the store has lost the new one. Nobody logs in until it is set again: by an
   * administrator, or in the session that was spared, for which the old password is the current one. Absent: false.
   */
  readonly replaced?: boolean;
  /**
   * The number of the commit that set the password, if a later commit has written the record again. If absent, it is
   * the record's version.
   */
  readonly passwordVersion?: number;
}

export interface ReadLocalLogin {
  readonly login: LocalLogin;
  readonly version: number;
}

/** See `LoginProvider.secretVersion`. */
export function secretVersionOf(found: ReadLocalLogin): string {
  return String(passwordVersionOf(found));
}

export function passwordVersionOf({ login, version }: ReadLocalLogin): number {
  return login.passwordVersion ?? version;
}

export function localLoginKey(providerId: LocalProviderId, username: string): RecordKey {
  return recordKeys.password(providerKey(localType, providerId), username);
}

/** Throws `unavailable` for a damaged record. */
export async function readLocalLogin(
  store: Store,
  providerId: LocalProviderId,
  username: string,
): Promise<ReadLocalLogin | undefined> {
  const record = await readRecord(store, localLoginKey(providerId, username));
  return record && { login: fromJson(providerId, username, record.value), version: record.version };
}

/**
 * The login, the costs of passwords in use (see `parametersIn`) and the record for `StandIns`, in one read. Throws
 * `unavailable` for a damaged record.
 */
export async function readForLogin(store: Store, providerId: LocalProviderId, username: string) {
  const [record, sets, standIns] = await store.get([
    localLoginKey(providerId, username),
    recordKeys.scryptParameters,
    recordKeys.standIns,
  ]);
  const found = record && { login: fromJson(providerId, username, record.value), version: record.version };
  return { found, inUse: parametersIn(sets), standIns };
}

/** Undefined for a damaged record too. */
export async function readLocalLoginIfValid(
  store: Store,
  providerId: LocalProviderId,
  username: string,
): Promise<ReadLocalLogin | undefined> {
  const record = await readRecord(store, localLoginKey(providerId, username));
  try {
    return record && { login: fromJson(providerId, username, record.value), version: record.version };
  } catch (error) {
    if (error instanceof AuthError) return undefined;
    throw error;
  }
}

export function localLoginPut(login: LocalLogin): NonNullable<Step["put"]> {
  const { providerId, username, credentialId, verifier, changedAt } = login;
  const { closed, replaced, passwordVersion } = login;
  const value = {
    credential_id: credentialId,
    verifier: storedPasswordToJson(verifier),
    changed_at: changedAt,
    closed,
    replaced,
    password_version: passwordVersion,
  };
  return [{ key: localLoginKey(providerId, username), value }];
}

/** The part of a commit that replaces an imported hash: its login is listed as imported until then. */
export function noLongerImported({ credentialId, verifier }: LocalLogin): Step {
  return isImported(verifier)
    ? { unlink: [{ index: indexKeys.importedPasswords, member: credentialId }] }
    : {};
}

function fromJson(providerId: LocalProviderId, username: string, value: JsonObject): LocalLogin {
  const { credential_id: credentialId, verifier, changed_at: changedAt, closed } = value;
  const { replaced, password_version: passwordVersion } = value;
  const whole =
    typeof credentialId === "string" && typeof changedAt === "number" && typeof closed === "boolean";
  if (!whole || !isObject(verifier)) {
    throw new AuthError("unavailable", { detail: "a stored login is damaged" });
  }
  return {
    providerId,
    username,
    credentialId,
    verifier: storedPasswordFromJson(verifier),
    changedAt,
    closed,
    ...(typeof replaced === "boolean" ? { replaced } : {}),
    ...(typeof passwordVersion === "number" ? { passwordVersion } : {}),
  };
}

function isObject(value: JsonObject[string]): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
