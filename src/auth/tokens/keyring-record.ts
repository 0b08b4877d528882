import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

import { AuthError } from "../errors.ts";
import type { LogEvent } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { createLogSeal, type LogSeal } from "../revocation/log-seal.ts";
import { readRecord, type Step, type Store } from "../store.ts";
import type { Sealing } from "./sealing.ts";
import { StoredKey } from "./signing-keys.ts";

/** The stored record: nothing of it is readable without the installation's secret. */
const Envelope = Compile(Type.Object({ box: Type.String() }));

/** What is in the box: keys in the order in which they were added. */
const Contents = Type.Object({ keys: Type.Array(StoredKey, { minItems: 1 }) });
const contents = Compile(Contents);

export interface VersionedKeys {
  readonly version: number;
  readonly keys: readonly StoredKey[];
}

/** The keyring's one record. Reading throws `AuthError("unavailable")` when it cannot be opened or understood. */
export interface KeyringRecord {
  read(): Promise<VersionedKeys | undefined>;
  /** Compare-and-set with its log entry; undefined when the record has another version (0: does not exist). */
  replace(version: number, keys: readonly StoredKey[]): Promise<VersionedKeys | undefined>;
}

export function createKeyringRecord(store: Store, sealing: Sealing): KeyringRecord {
  const key = recordKeys.keyring;
  const seal = createLogSeal(sealing);
  return {
    async read() {
      const record = await readRecord(store, key);
      if (record === undefined) return undefined;
      if (!Envelope.Check(record.value)) throw unreadable();
      return { version: record.version, keys: parse(sealing.open(key, record.value.box)).keys };
    },
    async replace(version, keys) {
      const outcome = await store.commit(writingKeyring(sealing, seal, version, keys));
      return outcome.ok ? { version: outcome.version, keys } : undefined;
    },
  };
}

/** The part of a commit that writes the keyring, unless the record has another version than `version`. */
export function writingKeyring(
  sealing: Pick<Sealing, "seal">,
  seal: Pick<LogSeal, "sealed">,
  version: number,
  keys: readonly StoredKey[],
): Step {
  const key = recordKeys.keyring;
  const event = { type: "keyring_changed" } as const satisfies LogEvent;
  return {
    check: [{ key, version }],
    put: [{ key, value: { box: sealing.seal(key, Buffer.from(JSON.stringify({ keys }))) } }],
    log: [seal.sealed(event)],
  };
}

function parse(plaintext: Buffer): Static<typeof Contents> {
  const value = parseJson(plaintext.toString());
  if (!contents.Check(value)) throw unreadable();
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreadable(): AuthError {
  return new AuthError("unavailable", {
    detail: "the keyring record has a shape that this version cannot read",
  });
}
