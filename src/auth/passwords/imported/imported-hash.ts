import { Type } from "typebox";
import { Compile } from "typebox/compile";

import { AuthError } from "../../errors.ts";
import type { JsonObject } from "../../store.ts";
import { areAffordable } from "./import-bounds.ts";
import { ImportedCost } from "./imported-cost.ts";

/**
 * The hash of a password that another program made. It lets the server check the password, but not a proof of it. The
 * first login by form replaces it with a verifier.
 */
export interface ImportedHash {
  readonly cost: ImportedCost;
  /** As bytes, base64url. */
  readonly salt: string;
  readonly hash: string;
}

const isCost = Compile(ImportedCost);
const isStored = Compile(
  Type.Object({
    kdf: Type.Literal("imported"),
    cost: ImportedCost,
    salt: Type.String(),
    hash: Type.String(),
  }),
);

export function importedToJson({ cost, salt, hash }: ImportedHash): JsonObject {
  return { kdf: "imported", cost: { ...cost }, salt, hash };
}

/** Throws `unavailable` for a hash that is damaged or demands unreasonable work. */
export function importedFromJson(value: JsonObject): ImportedHash {
  if (!isStored.Check(value) || !areAffordable([value.cost]))
    throw new AuthError("unavailable", { detail: "a stored imported hash is damaged" });
  const { cost, salt, hash } = value;
  return { cost, salt, hash };
}

/** The costs in a stored list, without those that are not affordable. */
export function costsFromJson(value: JsonObject[string] | undefined): readonly ImportedCost[] {
  if (!Array.isArray(value)) return [];
  return value.filter((each): each is ImportedCost => isCost.Check(each) && areAffordable([each]));
}

export function isImported(secret: object): secret is ImportedHash {
  return "hash" in secret;
}
