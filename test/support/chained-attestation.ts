import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

import type { PasskeyInput } from "./software-authenticator.ts";

/** A value in DER, of less than 64 KiB. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const bytes = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
const integer = (value: number, tag = 0x02) => der(tag, Buffer.of(value));
const octets = (...parts: readonly Uint8Array[]) => der(0x04, ...parts);
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"));
const ed25519 = sequence(oid("2b6570"));
const named = (text: string) => sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(text)))));
const times = sequence(der(0x17, Buffer.from("200101000000Z")), der(0x17, Buffer.from("490101000000Z")));
const publicKey = (bytes: Uint8Array) => sequence(ed25519, der(0x03, Buffer.of(0), bytes));
const extension = (hex: string, value: Uint8Array) => sequence(oid(hex), octets(value));

/** X.509, signed by the root. */
function certificate(root: KeyObject, subject: string, key: Uint8Array, extensions: readonly Uint8Array[]) {
  const parts = [integer(1), ed25519, named("r"), times, named(subject), publicKey(key)];
  const asked = extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))];
  const body = sequence(der(0xa0, integer(2)), ...parts, ...asked);
  return sequence(body, ed25519, der(0x03, Buffer.of(0), sign(null, body, root)));
}

/** The challenge that an Android key was made for, in its certificate. */
function keyDescription(clientDataHash: Uint8Array): Buffer {
  const levels = [integer(3), integer(0, 0x0a), integer(4), integer(0, 0x0a)];
  return sequence(...levels, octets(clientDataHash), octets(), sequence(), sequence());
}

function rawKey(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
}

/** Lengths are the shortest, or the decoder refuses them. */
function cborBytes(bytes: Uint8Array): Buffer {
  const { length } = bytes;
  const head =
    length < 24 ? [0x40 + length] : length < 256 ? [0x58, length] : [0x59, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), bytes]);
}
const cborText = (text: string) => Buffer.concat([Buffer.of(0x60 + text.length), Buffer.from(text)]);

/**
 * The answer of a key that says that it is one of Android's, and brings certificates which name a list of revoked
 * ones at `crl`. It is made to be short: a field takes 1024 characters.
 */
export function chainedAttestation(options: string, origin: string, crl: string): PasskeyInput {
  const { challenge, rp } = JSON.parse(options) as { challenge: string; rp: { id: string } };
  const clientData = Buffer.from(JSON.stringify({ type: "webauthn.create", challenge, origin }));
  const clientDataHash = createHash("sha256").update(clientData).digest();
  const root = generateKeyPairSync("ed25519");
  const x = randomBytes(32);
  // COSE: an Ed25519 key.
  const coseKey = Buffer.concat([Buffer.from("a4010103272006215820", "hex"), x]);
  const id = Buffer.of(7);
  const rpIdHash = createHash("sha256").update(rp.id).digest();
  const head = Buffer.from("450000000000000000000000000000000000000000", "hex");
  const authData = Buffer.concat([rpIdHash, head, Buffer.of(0, id.length), id, coseKey]);
  const point = sequence(der(0xa0, der(0xa0, der(0x86, Buffer.from(crl)))));
  const leaf = certificate(root.privateKey, "l", Buffer.concat([Buffer.of(4), x]), [
    extension("2b06010401d679020111", keyDescription(clientDataHash)),
    extension("551d1f", sequence(point)),
  ]);
  const anchor = certificate(root.privateKey, "r", rawKey(root.publicKey), []);
  const statement = [cborText("alg"), Buffer.of(0x27), cborText("sig"), cborBytes(Buffer.of(0))];
  const chain = [cborText("x5c"), Buffer.of(0x82), cborBytes(leaf), cborBytes(anchor)];
  const object = [
    Buffer.of(0xa3),
    ...[cborText("fmt"), cborText("android-key")],
    ...[cborText("attStmt"), Buffer.of(0xa3), ...statement, ...chain],
    ...[cborText("authData"), cborBytes(authData)],
  ];
  return {
    credential_id: id.toString("base64url"),
    client_data_json: clientData.toString("base64url"),
    attestation_object: Buffer.concat(object).toString("base64url"),
  };
}
