import { createHmac, createSecretKey, type KeyObject } from "node:crypto";

import { AuthError } from "../errors.ts";
import { recordKeys } from "../record-keys.ts";
import { readRecord, retryConflicts, type Store, type StoredRecord } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";
import type { ScryptParameters, Verifier } from "./passwords.ts";
import { saltBytes } from "./verifier.ts";

/**
 * The verifiers that names without one seem to have: always the same for a name, on every node. The parameters are one
 * of those in use. Each set has a rank that depends on the name, and the highest wins. So a set that comes into use
 * changes few names, like the few people who log in with it, and one that goes out of use changes those that had it.
 *
 * What stays visible: a salt changes when its name gets or loses a login, or a password changes.
 */
export type StandIns = (
  /** The record of `recordKeys.standIns`. */
  kept: StoredRecord | undefined,
  provider: string,
  username: string,
  sets: readonly [ScryptParameters, ...ScryptParameters[]],
) => Verifier;

/** Throws `unavailable` if the key was sealed with another secret. */
export function createStandIns(sealing: Pick<Sealing, "derive" | "open">): StandIns {
  const own = createSecretKey(keyOf(sealing, undefined));
  let opened: { readonly version: number; readonly key: KeyObject } | undefined;
  const keyNow = (kept: StoredRecord | undefined) => {
    if (kept === undefined) return own;
    if (opened?.version !== kept.version)
      opened = { version: kept.version, key: createSecretKey(keyOf(sealing, kept)) };
    return opened.key;
  };
  return (kept, provider, username, [first, ...others]) => {
    const key = keyNow(kept);
    const mac = (...parts: readonly (string | number)[]) =>
      createHmac("sha256", key).update(JSON.stringify(parts)).digest();
    const rankOf = ({ N, r, p }: ScryptParameters) => mac("rank", provider, username, N, r, p);
    const ranked = others.length === 0 ? [] : [first, ...others].map((set) => ({ set, rank: rankOf(set) }));
    const [highest] = ranked.sort((a, b) => b.rank.compare(a.rank));
    const { N, r, p } = highest?.set ?? first;
    const secret = (what: string) => mac(what, provider, username, N, r, p);
    return {
      salt: secret("salt").subarray(0, saltBytes).toString("base64url"),
      N,
      r,
      p,
      storedKey: secret("stored key").toString("base64url"),
      serverKey: secret("server key").toString("base64url"),
    };
  };
}

/**
 * It is derived from the installation's secret until that is replaced. From then on it is kept. Otherwise the salts of
 * all unknown names would change at once, and those of no others.
 */
function keyOf(sealing: Pick<Sealing, "derive" | "open">, kept: StoredRecord | undefined): Buffer {
  if (kept === undefined) return sealing.derive("scram stand-ins 1");
  return sealing.open(recordKeys.standIns, String(kept.value.key));
}

/** Keeps the key when the installation's secret is replaced. Does nothing if `to` opens what is kept. */
export async function resealStandIns({
  store,
  from,
  to,
}: {
  readonly store: Store;
  readonly from: Sealing;
  readonly to: Sealing;
}): Promise<void> {
  const name = recordKeys.standIns;
  await retryConflicts(async () => {
    const kept = await readRecord(store, name);
    if (kept !== undefined && opens(to, kept)) return true;
    const key = to.seal(name, keyOf(from, kept));
    const check = [{ key: name, version: kept?.version ?? 0 }];
    const outcome = await store.commit({ check, put: [{ key: name, value: { key } }], durable: true });
    return outcome.ok ? true : undefined;
  });
}

function opens(sealing: Sealing, kept: StoredRecord): boolean {
  try {
    return keyOf(sealing, kept).length > 0;
  } catch (error) {
    if (error instanceof AuthError && error.code === "unavailable") return false;
    throw error;
  }
}
