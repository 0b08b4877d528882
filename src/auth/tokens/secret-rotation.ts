import { AuthError } from "../errors.ts";
import { newId } from "../ids.ts";
import type { LogEvent } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { createLogMac } from "../revocation/log-mac.ts";
import type { Store } from "../store.ts";
import { mergeSteps } from "../store.ts";
import { createKeyringRecord, type VersionedKeys, writeKeyringStep } from "./keyring-record.ts";
import { createSealing, type Sealing, wrongSecretDetail } from "./sealing.ts";
import { generateKey } from "./signing-keys.ts";

export interface SecretRotation {
  readonly store: Store;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * One commit: a keyring of one new key under the new secret in place of all old keys, and the end of every session. The
 * keyring is the one record that is sealed; all else that hangs on the secret (refresh tokens, signed paths, the log's MACs)
 * is made from it anew. NO gateway may run: it would go on with the keys that it has in memory, and could not read in the
 * log that they are over. Of a store that is sealed with `to` already nothing is changed. Throws
 * `AuthError("unavailable")`, with `sealedOtherwise` at the end of the detail when it is sealed with neither.
 */
export async function rotateSecret({ store, from, to, now }: SecretRotation): Promise<void> {
  const next = createSealing(to);
  const present = await readUnder(store, createSealing(from));
  if (present === undefined) {
    await createKeyringRecord(store, next).read();
    return;
  }
  const seal = createLogMac(next);
  const key = await generateKey({ createdAt: now, signsFrom: now });
  const event: LogEvent = { type: "all_revoked", cause: "session_revoked", revocationId: newId() };
  const outcome = await store.commit(
    mergeSteps(writeKeyringStep(next, seal, present.version, { keys: [key], dropped: [] }), {
      bumpEpochs: [recordKeys.allEpoch],
      log: [seal.withMac({ ...event })],
      durable: true,
    }),
  );
  if (!outcome.ok) throw new AuthError("conflict", { detail: "the keys changed meanwhile: a gateway runs" });
}

/** Undefined when the keyring was sealed with another secret. */
async function readUnder(store: Store, sealing: Sealing): Promise<VersionedKeys | undefined> {
  try {
    const present = await createKeyringRecord(store, sealing).read();
    if (present === undefined) throw new AuthError("unavailable", { detail: "the store holds no keyring" });
    return present;
  } catch (error) {
    if (error instanceof AuthError && error.detail?.endsWith(wrongSecretDetail)) return undefined;
    throw error;
  }
}
