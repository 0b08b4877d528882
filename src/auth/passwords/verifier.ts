import { AuthError } from "../errors.ts";
import type { JsonObject } from "../store.ts";
import type { CostInUse } from "./cost-in-use.ts";
import { importedFromJson, importedToJson, isImported } from "./imported/imported-hash.ts";
import type { ScryptParameters, StoredPassword, Verifier } from "./passwords.ts";
import { areParametersSane } from "./scrypt-parameters.ts";

/** Bytes of a salt, and of SaltedPassword, StoredKey and ServerKey. */
export const saltBytes = 16;
export const keyBytes = 32;

/** What is stored of a password, as JSON. */
export function storedPasswordToJson(stored: StoredPassword): JsonObject {
  return isImported(stored) ? importedToJson(stored) : verifierToJson(stored);
}

/** Throws `unavailable`, see `verifierFromJson`. */
export function storedPasswordFromJson(value: JsonObject): StoredPassword {
  return value.kdf === "imported" ? importedFromJson(value) : verifierFromJson(value);
}

/** What a check of it costs. */
export function costOfStored(stored: StoredPassword): CostInUse {
  return isImported(stored) ? stored.cost : parametersOf(stored);
}

/** A verifier as it is stored, in the record of its login. */
export function verifierToJson(verifier: Verifier): JsonObject {
  const { salt, N, r, p, storedKey, serverKey } = verifier;
  return { kdf: "scrypt", hash: "sha-256", salt, N, r, p, stored_key: storedKey, server_key: serverKey };
}

/**
 * Parses a verifier. Throws `unavailable` with a detail for the operator if it is damaged or demands unreasonable
 * work: that must not be answered like a wrong password.
 */
export function verifierFromJson(value: JsonObject): Verifier {
  const { N, r, p } = value;
  const parameters = { N: Number(N), r: Number(r), p: Number(p) };
  const known = value.kdf === "scrypt" && value.hash === "sha-256";
  if (!known || !areParametersSane(parameters)) throw damaged();
  const salt = base64url(value.salt, saltBytes);
  const storedKey = base64url(value.stored_key, keyBytes);
  const serverKey = base64url(value.server_key, keyBytes);
  return { salt, ...parameters, storedKey, serverKey };
}

export function parametersOf({ N, r, p }: ScryptParameters): ScryptParameters {
  return { N, r, p };
}

function base64url(value: unknown, bytes: number): string {
  if (typeof value !== "string" || Buffer.from(value, "base64url").length !== bytes) throw damaged();
  return value;
}

function damaged(): AuthError {
  return new AuthError("unavailable", { detail: "a stored password verifier is damaged" });
}
