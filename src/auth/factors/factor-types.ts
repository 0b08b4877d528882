import { type Static, Type } from "typebox";

import type { Frozen } from "../providers/provider-type.ts";
import type { Factor } from "./factor.ts";
import type { FactorTools } from "./factor-type.ts";
import { recoveryType } from "./recovery/type.ts";
import { totpType } from "./totp/type.ts";
import { webauthnType } from "./webauthn/type.ts";

/** Every type of second factor: a new one is a folder, and a line in each of these two. */
export const factorTypes = {
  totp: totpType,
  webauthn: webauthnType,
  recovery: recoveryType,
};
export const FactorEntry = Type.Union([totpType.entry, webauthnType.entry, recoveryType.entry]);
export type FactorEntry = Frozen<Static<typeof FactorEntry>>;

export const defaultFactors: readonly FactorEntry[] = [{ type: "totp" }, { type: "recovery" }];

/** The factors of the configuration, in its order. */
export function createFactors(entries: readonly FactorEntry[], tools: FactorTools): readonly Factor[] {
  return entries.map((entry) => typeOf(entry).create(entry, tools));
}

/** The compiler cannot follow that the type of an entry is that of its function. */
function typeOf({ type }: FactorEntry) {
  return factorTypes[type] as { create(entry: FactorEntry, tools: FactorTools): Factor };
}
