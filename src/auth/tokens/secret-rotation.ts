import { AuthError } from "../errors.ts";
import { resealFactors } from "../factors/reseal-factors.ts";
import { newId } from "../ids.ts";
import type { LogEvent } from "../model.ts";
import { resealStandIns } from "../passwords/stand-in.ts";
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
 * One commit replaces all keys with one new key in a keyring that is sealed with the new secret, and revokes every
 * session. From then on no gateway starts with the old secret. Then what else people keep is sealed anew: their second
 * factors, and the key of the salts that names without a login have. Flows and set-ups that had begun are over.
 * Everything else that depends on the secret (refresh tokens, signed paths, the MACs of the log) is derived from the new
 * one. NO gateway may run: it would keep using the keys in its memory, and could not verify the log entry that revokes
 * them. What is sealed with `to` already is not changed, so a call that was cut short can be repeated. Throws
 * `AuthError("unavailable")`, with `wrongSecretDetail` at the end of the detail if the keyring is sealed with neither.
 */
export async function rotateSecret(rotation: SecretRotation): Promise<void> {
  await replaceKeyring(rotation);
  const { store } = rotation;
  const [from, to] = [createSealing(rotation.from), createSealing(rotation.to)];
  await resealFactors({ store, from, to });
  await resealStandIns({ store, from, to });
}

async function replaceKeyring({ store, from, to, now }: SecretRotation): Promise<void> {
  const next = createSealing(to);
  const present = await readUnder(store, createSealing(from));
  if (present === undefined) {
    await createKeyringRecord(store, next).read();
    return;
  }
  const logMac = createLogMac(next);
  const key = await generateKey({ createdAt: now, signsFrom: now });
  const event: LogEvent = { type: "all_revoked", cause: "session_revoked", revocationId: newId() };
  const outcome = await store.commit(
    mergeSteps(writeKeyringStep(next, logMac, present.version, { keys: [key], dropped: [] }), {
      bumpEpochs: [recordKeys.allEpoch],
      log: [logMac.withMac({ ...event })],
      durable: true,
    }),
  );
  if (!outcome.ok)
    throw new AuthError("conflict", { detail: "the keys changed meanwhile: a gateway is running" });
}

/** Undefined if the keyring was sealed with another secret. */
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
