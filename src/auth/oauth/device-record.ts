import { createHmac, createSecretKey } from "node:crypto";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import { AuthError } from "../errors.ts";
import { hashed, recordKeys } from "../record-keys.ts";
import { type JsonObject, type RecordKey, readRecord, type Step, type Store } from "../store.ts";
import type { Sealing } from "../tokens/sealing.ts";

export const deviceGrantType = "urn:ietf:params:oauth:grant-type:device_code";

/** How long a device that asks late still learns what became of it, and a code that is used again is known, ms. */
const lateMs = 5 * 60_000;
const deviceCodeShape = /^[A-Za-z0-9_-]{43}$/;
const userCodeShape = /^[BCDFGHJKLMNPQRSTVWXZ]{8}$/;

const Text = Type.Union([Type.String(), Type.Null()]);
const DeviceRecord = Type.Object({
  clientId: Type.String(),
  clientName: Type.String(),
  scope: Text,
  resource: Text,
  address: Text,
  endsAt: Type.Number(),
  intervalMs: Type.Number(),
  /** When it asked last; 0: not yet. */
  askedAt: Type.Number(),
  state: Type.Union([
    Type.Literal("waiting"),
    Type.Literal("refused"),
    Type.Literal("approved"),
    Type.Literal("used"),
  ]),
  /** Who approved, on which session, and how they had logged in. */
  approval: Type.Union([
    Type.Object({
      userId: Type.String(),
      sessionId: Type.String(),
      userEpoch: Type.Number(),
      credentialId: Type.String(),
      assurance: Type.Union([Type.Literal(1), Type.Literal(2)]),
      amr: Type.Array(Type.String()),
      authenticatedAt: Type.Number(),
      providerSession: Text,
    }),
    Type.Null(),
  ]),
  /** What the code opened: state `used`. */
  openedSession: Text,
});
export type Device = Static<typeof DeviceRecord>;
export type Approval = NonNullable<Device["approval"]>;
const deviceRecord = Compile(DeviceRecord);

export interface VersionedDevice {
  readonly key: RecordKey;
  readonly device: Device;
  readonly version: number;
}

/** Stores a device that begins. In conflict if its user code is taken. */
export function beginStep(deviceCode: string, codeKey: RecordKey, device: Device): Step {
  const key = recordKeys.device(deviceCode);
  return {
    check: [{ key: codeKey, version: 0 }],
    put: [
      devicePut(key, device),
      { key: codeKey, value: { device: hashed(deviceCode) }, expiresAt: device.endsAt },
    ],
  };
}

export function devicePut(key: VersionedDevice["key"], device: Device) {
  return { key, value: device as unknown as JsonObject, expiresAt: device.endsAt + lateMs };
}

/** Case, dashes and blanks do not matter. */
function normalUserCode(text: string): string {
  return text.replace(/[\s-]/g, "").toUpperCase();
}

/** False for a text that cannot be a user code, however it is typed. */
export function isUserCode(text: string): boolean {
  return userCodeShape.test(normalUserCode(text));
}

/**
 * Where a user code leads to its device. A code is short, so its hash alone would give it away to whoever reads the store.
 */
export function userCodeKeys(sealing: Pick<Sealing, "derive">): (userCode: string) => RecordKey {
  const macKey = createSecretKey(sealing.derive("device user codes 1"));
  return (userCode) =>
    recordKeys.deviceUserCode(
      createHmac("sha256", macKey).update(normalUserCode(userCode)).digest("base64url"),
    );
}

/** Throws `invalid_grant` for an unknown code, and for another client's. */
export async function readDevice(
  store: Store,
  deviceCode: string,
  clientId: string,
): Promise<VersionedDevice> {
  const found = deviceCodeShape.test(deviceCode)
    ? await deviceAt(store, recordKeys.device(deviceCode))
    : undefined;
  if (found?.device.clientId !== clientId) throw unknownDeviceCode();
  return found;
}

export function unknownDeviceCode(): AuthError {
  return new AuthError("invalid_grant", { publicMessage: "Device code is not valid" });
}

/** Undefined for a damaged record too. */
export async function deviceAt(
  store: Store,
  key: VersionedDevice["key"],
): Promise<VersionedDevice | undefined> {
  const record = await readRecord(store, key);
  const value: unknown = record?.value;
  return record !== undefined && deviceRecord.Check(value)
    ? { key, device: value, version: record.version }
    : undefined;
}
