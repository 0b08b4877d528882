import { createPrivateKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from "jose";
import { type Static, Type } from "typebox";

import { AuthError } from "../errors.ts";
import { createTokenMac, type TokenMac } from "./access-token-format.ts";
import type { ScheduledKey } from "./key-schedule.ts";

const Coordinate = Type.String({ pattern: "^[A-Za-z0-9_-]{43}$" });

/** One key as it is stored in the sealed record. Times are milliseconds since the epoch. */
export const StoredKey = Type.Object({
  /** RFC 7638 thumbprint of the public key. */
  kid: Coordinate,
  jwk: Type.Object({
    kty: Type.Literal("EC"),
    crv: Type.Literal("P-256"),
    x: Coordinate,
    y: Coordinate,
    d: Coordinate,
  }),
  /** Key of the MAC in access tokens: 32 random bytes, base64url. */
  mac: Coordinate,
  created_at: Type.Integer(),
  signs_from: Type.Integer(),
  promised_until: Type.Integer(),
});
export type StoredKey = Static<typeof StoredKey>;

/** A key in memory. It signs, and does not expose its private part. */
export interface SigningKey extends ScheduledKey {
  /** The protected header of every token of this key, as base64url text like in the token. */
  readonly headerSegment: string;
  /** The MAC that gateway nodes verify instead of the signature. */
  readonly tokenMac: TokenMac;
  /**
   * ES256 (RFC 7518 section 3.4) of `header.payload`, base64url. Synchronous: measured on Node 20 it takes 28 µs of
   * CPU a token. jose, with WebCrypto and the thread pool, takes 30 µs of this thread and 50 µs in total.
   */
  sign(signingInput: string): string;
  /** Public members only (RFC 7517). */
  readonly publicJwk: JWK;
}

/**
 * The protected header (RFC 9068 section 2.1). `AccessTokens.read` compares its text, so members and their order are
 * fixed.
 */
export function protectedHeader(kid: string) {
  return { alg: "ES256", typ: "at+jwt", kid } as const;
}

/** The text of every token of the key up to the first dot. */
export function headerSegmentOf(kid: string): string {
  return Buffer.from(JSON.stringify(protectedHeader(kid))).toString("base64url");
}

export async function generateKey(times: { createdAt: number; signsFrom: number }): Promise<StoredKey> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const { x = "", y = "", d = "" } = await exportJWK(privateKey);
  const jwk = { kty: "EC", crv: "P-256", x, y, d } as const;
  return {
    kid: await calculateJwkThumbprint(jwk),
    jwk,
    mac: randomBytes(32).toString("base64url"),
    created_at: times.createdAt,
    signs_from: times.signsFrom,
    promised_until: 0,
  };
}

export function importKey(stored: StoredKey): SigningKey {
  const { d: _, ...publicPart } = stored.jwk;
  const key = privateKeyOf(stored);
  return {
    ...scheduleOf(stored),
    headerSegment: headerSegmentOf(stored.kid),
    tokenMac: createTokenMac(Buffer.from(stored.mac, "base64url")),
    sign: (input) =>
      sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url"),
    publicJwk: { ...publicPart, kid: stored.kid, use: "sig", alg: "ES256" },
  };
}

function privateKeyOf({ jwk }: StoredKey): KeyObject {
  try {
    return createPrivateKey({ key: jwk, format: "jwk" });
  } catch (error) {
    throw new AuthError("unavailable", { detail: "a signing key is not an EC key", cause: error });
  }
}

export function scheduleOf(stored: StoredKey): ScheduledKey {
  return {
    kid: stored.kid,
    createdAt: stored.created_at,
    signsFrom: stored.signs_from,
    promisedUntil: stored.promised_until,
  };
}
