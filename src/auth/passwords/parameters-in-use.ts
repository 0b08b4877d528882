import { indexKeys, recordKeys } from "../record-keys.ts";
import {
  type JsonObject,
  readRecord,
  retryConflicts,
  type Step,
  type Store,
  type StoredRecord,
} from "../store.ts";
import { areSameCosts, type CostInUse, isNative } from "./cost-in-use.ts";
import { costsFromJson } from "./imported/imported-hash.ts";
import { areParametersSane } from "./scrypt-parameters.ts";

/**
 * The costs that stored passwords may have, from a record that is read with each login: parameters of verifiers first,
 * then costs of imported hashes. Every check of a password costs one run with each of them, so the time does not reveal
 * the cost of a name's password. In the order of the record, without those that are out of bounds.
 */
export function parametersIn(record: StoredRecord | undefined): readonly CostInUse[] {
  const { sets, imported } = record?.value ?? {};
  const native = (Array.isArray(sets) ? sets : []).flatMap((set: unknown) => {
    const [N, r, p] = Array.isArray(set) ? set.map(Number) : [];
    const parameters = { N: N ?? 0, r: r ?? 0, p: p ?? 0 };
    return areParametersSane(parameters) ? [parameters] : [];
  });
  return [...native, ...costsFromJson(imported)];
}

/** Adds a cost to the record, before a password with it is stored. */
export async function listParameters(store: Store, cost: CostInUse): Promise<void> {
  await retryConflicts(async () => {
    const record = await readRecord(store, recordKeys.scryptParameters);
    if (parametersIn(record).some((each) => areSameCosts(each, cost))) return true;
    const outcome = await store.commit(listingStep(record, [cost]));
    return outcome.ok ? true : undefined;
  });
}

function distinct(costs: readonly CostInUse[]): readonly CostInUse[] {
  return costs.filter((cost, place) => costs.findIndex((each) => areSameCosts(each, cost)) === place);
}

/** The part of a commit that adds costs to the record as it was read. */
export function listingStep(record: StoredRecord | undefined, costs: readonly CostInUse[]): Step {
  return replacingStep(record, distinct([...parametersIn(record), ...costs]));
}

/**
 * Removes costs that no password has any more. `findUsed` reads all of them. If the record changed meanwhile, it stays
 * as it is. If another node stores a verifier with parameters while they are removed, the next login with that verifier
 * adds them again.
 */
export async function retireParameters(
  store: Store,
  findUsed: () => Promise<readonly CostInUse[]>,
): Promise<void> {
  const record = await readRecord(store, recordKeys.scryptParameters);
  const listed = parametersIn(record);
  if (listed.length < 2 && listed.every(isNative)) return;
  const used = await findUsed();
  const kept = listed.filter((each) => used.some((one) => areSameCosts(one, each)));
  if (kept.length < listed.length) await store.commit(replacingStep(record, kept));
}

/** Removes the costs of imported hashes once none is left. */
export async function retireImported(store: Store): Promise<void> {
  // Read before the index: an import writes both in one commit, so one that comes in between changes the record.
  const record = await readRecord(store, recordKeys.scryptParameters);
  const listed = parametersIn(record);
  if (listed.every(isNative)) return;
  if ((await store.list(indexKeys.importedPasswords, { limit: 1 })).length > 0) return;
  await store.commit(replacingStep(record, listed.filter(isNative)));
}

function replacingStep(record: StoredRecord | undefined, costs: readonly CostInUse[]): Step {
  const key = recordKeys.scryptParameters;
  const sets = costs.filter(isNative).map(({ N, r, p }) => [N, r, p]);
  const imported: readonly JsonObject[] = costs.flatMap((cost) => (isNative(cost) ? [] : [{ ...cost }]));
  return {
    check: [{ key, version: record?.version ?? 0 }],
    put: [{ key, value: imported.length === 0 ? { sets } : { sets, imported } }],
  };
}
