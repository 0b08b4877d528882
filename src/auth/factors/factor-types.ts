import { type Static, Type } from "typebox";

import { type Frozen, filesIn, type NamedFile } from "../providers/provider-type.ts";
import type { Factor } from "./factor.ts";
import type { FactorTools } from "./factor-type.ts";
import { notifyType } from "./notify/type.ts";
import { recoveryType } from "./recovery/type.ts";
import { totpType } from "./totp/type.ts";
import { webauthnType } from "./webauthn/type.ts";

/** Every type of second factor: a new one is a folder, and a line in each of these two. */
export const factorTypes = {
  totp: totpType,
  notify: notifyType,
  webauthn: webauthnType,
  recovery: recoveryType,
};
export const FactorEntry = Type.Union([
  totpType.entry,
  notifyType.entry,
  webauthnType.entry,
  recoveryType.entry,
]);
export type FactorEntry = Frozen<Static<typeof FactorEntry>>;

/** Does not compile if one of the two lacks a type that the other has. */
({}) satisfies Record<
  | Exclude<keyof typeof factorTypes, FactorEntry["type"]>
  | Exclude<FactorEntry["type"], keyof typeof factorTypes>,
  never
>;

export const defaultFactors: readonly FactorEntry[] = [{ type: "totp" }, { type: "recovery" }];

/** The factors of the configuration, in its order. */
export function createFactors(entries: readonly FactorEntry[], tools: FactorTools): readonly Factor[] {
  return entries.map((entry) => typeOf(entry).create(entry, tools));
}

/** What is wrong with an entry beyond its schema; see `FactorType.problem`. */
export function factorProblem(entry: FactorEntry): string | undefined {
  return typeOf(entry).problem?.(entry);
}

/** See `filesIn`. */
export function filesOfFactor(entry: FactorEntry): readonly NamedFile[] {
  return filesIn(factorTypes[entry.type].entry.properties, entry);
}

/** Whether an option of this entry is a secret: its schema has JSON Schema's `writeOnly`. */
export function isSecretFactorOption({ type }: FactorEntry, name: string): boolean {
  const properties: Readonly<Record<string, object>> = factorTypes[type].entry.properties;
  const schema = properties[name];
  return schema !== undefined && "writeOnly" in schema && schema.writeOnly === true;
}

/** The compiler cannot follow that the type of an entry is that of its functions. */
function typeOf({ type }: FactorEntry) {
  return factorTypes[type] as {
    problem?(entry: FactorEntry): string | undefined;
    create(entry: FactorEntry, tools: FactorTools): Factor;
  };
}
