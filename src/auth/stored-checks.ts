import { type Static, Type } from "typebox";

import type { Checks, RecordKey } from "./store.ts";

/** Checks that are kept in a record, for a later commit. */
export const StoredChecks = Type.Array(Type.Object({ key: Type.String(), version: Type.Number() }));
export type StoredChecks = Static<typeof StoredChecks>;

export function storedChecks(checks: Checks): StoredChecks {
  return checks.map(({ key, version }) => ({ key, version }));
}

export function restoredChecks(checks: StoredChecks): Checks {
  return checks.map(({ key, version }) => ({ key: key as RecordKey, version }));
}
