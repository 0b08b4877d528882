import { AuthError } from "../errors.ts";
import type { Verifier } from "../passwords/passwords.ts";
import { verifierFromJson, verifierToJson } from "../passwords/verifier.ts";
import { providerKey, recordKeys } from "../record-keys.ts";
import { type JsonObject, type RecordKey, readRecord, type Step, type Store } from "../store.ts";

/** Home Assistant's name of the local provider; there is one, so its id is null. */
export const localProvider = { type: "homeassistant", id: null } as const;

/** The record behind a login name. Logins are decided on it: its version is their evidence. */
export interface LocalLogin {
  readonly username: string;
  readonly credentialId: string;
  readonly verifier: Verifier;
  readonly changedAt: number;
  /** Being removed: nobody logs in with it any more, its sessions are about to end. */
  readonly closed: boolean;
}

export function localLoginKey(username: string): RecordKey {
  return recordKeys.password(providerKey(localProvider.type, localProvider.id), username);
}

/** Throws `unavailable` for a damaged record. */
export async function readLocalLogin(
  store: Store,
  username: string,
): Promise<{ readonly login: LocalLogin; readonly version: number } | undefined> {
  const record = await readRecord(store, localLoginKey(username));
  return record && { login: fromJson(username, record.value), version: record.version };
}

export function puttingLocalLogin(login: LocalLogin): NonNullable<Step["put"]> {
  const { username, credentialId, verifier, changedAt, closed } = login;
  const value = {
    credential_id: credentialId,
    verifier: verifierToJson(verifier),
    changed_at: changedAt,
    closed,
  };
  return [{ key: localLoginKey(username), value }];
}

function fromJson(username: string, value: JsonObject): LocalLogin {
  const { credential_id: credentialId, verifier, changed_at: changedAt, closed } = value;
  const whole =
    typeof credentialId === "string" && typeof changedAt === "number" && typeof closed === "boolean";
  if (!whole || !isObject(verifier)) {
    throw new AuthError("unavailable", { detail: "a stored login is damaged" });
  }
  return { username, credentialId, verifier: verifierFromJson(verifier), changedAt, closed };
}

function isObject(value: JsonObject[string]): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
