import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

import { AuthError } from "../errors.ts";
import type { LogEvent } from "../model.ts";
import { recordKeys } from "../record-keys.ts";
import { createLogMac, type LogMac } from "../revocation/log-mac.ts";
import { readRecord, type Step, type Store } from "../store.ts";
import type { Sealing } from "./sealing.ts";
import { StoredKey } from "./signing-keys.ts";

/** The stored record. It cannot be read without the installation's secret. */
const Envelope = Compile(Type.Object({ box: Type.String() }));

/** A dropped key, and when the last token that it signed expires (ms since the epoch). */
const DroppedKey = Type.Object({ kid: Type.String(), until: Type.Integer() });
export type DroppedKey = Readonly<Static<typeof DroppedKey>>;

/** The contents of the box: the keys in the order in which they were added, and the dropped ones. */
const Contents = Type.Object({
  keys: Type.Array(StoredKey, { minItems: 1 }),
  dropped: Type.Optional(Type.Array(DroppedKey)),
});
const contents = Compile(Contents);

export interface KeyringContents {
  readonly keys: readonly StoredKey[];
  readonly dropped: readonly DroppedKey[];
}

export interface VersionedKeys extends KeyringContents {
  readonly version: number;
}

/** The record of the keyring. Reading throws `AuthError("unavailable")` if it cannot be decrypted or parsed. */
export interface KeyringRecord {
  read(): Promise<VersionedKeys | undefined>;
  /**
   * Compare-and-set, with a log entry that names the keys in `dropped`. Undefined if the record has another version
   * (0: it does not exist).
   */
  replace(
    version: number,
    next: KeyringContents,
    dropped?: readonly string[],
  ): Promise<VersionedKeys | undefined>;
  /** The part of a commit that writes the record under the same condition, without a log entry. */
  putStep(version: number, next: KeyringContents): Step;
}

export function createKeyringRecord(store: Store, sealing: Sealing): KeyringRecord {
  const key = recordKeys.keyring;
  const logMac = createLogMac(sealing);
  return {
    async read() {
      const record = await readRecord(store, key);
      if (record === undefined) return undefined;
      if (!Envelope.Check(record.value)) throw unreadable();
      const { keys, dropped = [] } = parse(sealing.open(key, record.value.box));
      return { version: record.version, keys, dropped };
    },
    async replace(version, next, dropped) {
      const outcome = await store.commit(writeKeyringStep(sealing, logMac, version, next, dropped));
      return outcome.ok ? { ...next, version: outcome.version } : undefined;
    },
    putStep: (version, next) => putKeyringStep(sealing, version, next),
  };
}

/** The part of a commit that writes the keyring, if the record has the version `version`. */
export function writeKeyringStep(
  sealing: Pick<Sealing, "seal">,
  logMac: Pick<LogMac, "withMac">,
  version: number,
  next: KeyringContents,
  dropped: readonly string[] = [],
): Step {
  const event: LogEvent = { type: "keyring_changed", ...(dropped.length === 0 ? {} : { dropped }) };
  const durable = dropped.length > 0;
  return { ...putKeyringStep(sealing, version, next), log: [logMac.withMac({ ...event })], durable };
}

function putKeyringStep(
  sealing: Pick<Sealing, "seal">,
  version: number,
  { keys, dropped }: KeyringContents,
): Step {
  const key = recordKeys.keyring;
  const box = sealing.seal(key, Buffer.from(JSON.stringify({ keys, dropped })));
  return { check: [{ key, version }], put: [{ key, value: { box } }] };
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
