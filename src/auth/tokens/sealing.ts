import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";

import { AuthError } from "../errors.ts";

/**
 * Cryptography with the installation's secret: derived keys for each purpose, and encrypted boxes for secrets that
 * must be readable again.
 */
export interface Sealing {
  /** HKDF-SHA256 with `label`: a 32-byte key, the same on every node of the installation. */
  derive(label: string): Buffer;
  /** AES-256-GCM with `name` (the record key) as associated data, so that a box cannot be moved to another record. */
  seal(name: string, plaintext: Uint8Array): string;
  /** Throws `AuthError("unavailable")` with a detail for the operator if the box was sealed with another secret. */
  open(name: string, box: string): Buffer;
}

/** Minimum length of the installation's secret in bytes. It bounds the strength of every derived key. */
export const minSecretBytes = 32;

/** The end of the detail of `open`'s error if the box was sealed with another secret. */
export const wrongSecretDetail = "was sealed with another secret, or was changed";

const version = 1;
const nonceBytes = 12;
const tagBytes = 16;
const overhead = 1 + nonceBytes + tagBytes;

/**
 * A box is base64url of: version (1 byte), nonce (12 random bytes), ciphertext, tag (16). Random nonces are safe for
 * 2^32 boxes of one secret (NIST SP 800-38D section 8.3), far above what an installation seals.
 *
 * `secret` is copied. Throws `AuthError("unavailable")` when it is shorter than 32 bytes.
 */
export function createSealing(secret: Uint8Array): Sealing {
  if (secret.byteLength < minSecretBytes)
    throw unavailable(`the installation's secret has fewer than ${minSecretBytes} bytes`);
  const root = createSecretKey(Uint8Array.from(secret));
  // The prefix differs from the one of `derive`, so no label derives the key of the boxes.
  const boxKey = createSecretKey(expand(root, `gatehouse box ${version}`));
  return {
    derive: (label) => expand(root, `gatehouse key ${label}`),
    seal: (name, plaintext) => seal(boxKey, name, plaintext),
    open: (name, box) => open(boxKey, name, box),
  };
}

function expand(root: KeyObject, info: string): Buffer {
  return Buffer.from(hkdfSync("sha256", root, "", info, 32));
}

function seal(key: KeyObject, name: string, plaintext: Uint8Array): string {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(name));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([Buffer.of(version), nonce, ciphertext, cipher.getAuthTag()]).toString("base64url");
}

function open(key: KeyObject, name: string, box: string): Buffer {
  const bytes = Buffer.from(box, "base64url");
  if (bytes.length < overhead || bytes.toString("base64url") !== box)
    throw unavailable(`${name} is not a sealed box`);
  if (bytes[0] !== version) throw unavailable(`${name} was sealed by another version of Gatehouse`);
  const nonce = bytes.subarray(1, 1 + nonceBytes);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes })
    .setAAD(Buffer.from(name))
    .setAuthTag(bytes.subarray(-tagBytes));
  try {
    const head = decipher.update(bytes.subarray(1 + nonceBytes, -tagBytes));
    return Buffer.concat([head, decipher.final()]);
  } catch (cause) {
    throw unavailable(`${name} ${wrongSecretDetail}`, cause);
  }
}

function unavailable(detail: string, cause?: unknown): AuthError {
  return new AuthError("unavailable", cause === undefined ? { detail } : { detail, cause });
}
