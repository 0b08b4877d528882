import { recordKeys } from "../record-keys.ts";
import { type JsonObject, readRecord, retryConflicts, type Store, type StoredRecord } from "../store.ts";
import type { ScryptParameters } from "./passwords.ts";
import { areParametersSane, areSame } from "./scrypt-parameters.ts";

/**
 * The parameters that stored verifiers may have, from a record that is read with each login. Every check of a
 * password costs one run with each of them, so the time does not reveal the parameters of a name's verifier. In the
 * order of the record, without parameters that are not sane.
 */
export function parametersIn(record: StoredRecord | undefined): readonly ScryptParameters[] {
  const { sets } = record?.value ?? {};
  if (!Array.isArray(sets)) return [];
  return sets.flatMap((set: unknown) => {
    const [N, r, p] = Array.isArray(set) ? set.map(Number) : [];
    const parameters = { N: N ?? 0, r: r ?? 0, p: p ?? 0 };
    return areParametersSane(parameters) ? [parameters] : [];
  });
}

/** Adds `parameters` to the record, before a verifier with them is stored. */
export async function listParameters(store: Store, parameters: ScryptParameters): Promise<void> {
  await retryConflicts(async () => {
    const record = await readRecord(store, recordKeys.scryptParameters);
    const listed = parametersIn(record);
    if (listed.some((each) => areSame(each, parameters))) return true;
    return await replace(store, record, [...listed, parameters]);
  });
}

/**
 * Removes parameters that no verifier has any more. `findUsed` reads all verifiers. If the record changed meanwhile,
 * it stays as it is. If another node stores a verifier with parameters while they are removed, the next login with
 * that verifier adds them again.
 */
export async function retireParameters(
  store: Store,
  findUsed: () => Promise<readonly ScryptParameters[]>,
): Promise<void> {
  const record = await readRecord(store, recordKeys.scryptParameters);
  const listed = parametersIn(record);
  if (listed.length < 2) return;
  const used = await findUsed();
  const kept = listed.filter((each) => used.some((one) => areSame(one, each)));
  if (kept.length < listed.length) await replace(store, record, kept);
}

async function replace(
  store: Store,
  record: StoredRecord | undefined,
  sets: readonly ScryptParameters[],
): Promise<true | undefined> {
  const key = recordKeys.scryptParameters;
  const value: JsonObject = { sets: sets.map(({ N, r, p }) => [N, r, p]) };
  const outcome = await store.commit({
    check: [{ key, version: record?.version ?? 0 }],
    put: [{ key, value }],
  });
  return outcome.ok ? true : undefined;
}
