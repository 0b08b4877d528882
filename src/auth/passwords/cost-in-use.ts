import { areSameCost, type ImportedCost } from "./imported/imported-cost.ts";
import type { ScryptParameters } from "./passwords.ts";
import { areSame } from "./scrypt-parameters.ts";

/** What a check of some stored password costs: of a verifier, or of an imported hash. */
export type CostInUse = ScryptParameters | ImportedCost;

/** Whether it is a verifier's: imported hashes name their function. */
export function isNative(cost: CostInUse): cost is ScryptParameters {
  return !("kdf" in cost);
}

export function areSameCosts(a: CostInUse, b: CostInUse): boolean {
  if (isNative(a) && isNative(b)) return areSame(a, b);
  return !isNative(a) && !isNative(b) && areSameCost(a, b);
}
