import { timingSafeEqual } from "node:crypto";

import type { Mac } from "./mac.ts";

/**
 * The text of an access token: `header.payload.signature`, where the payload ends in the claim `hmac`.
 *
 * The claims before it are padded with JSON white space to a multiple of 3 bytes, so that they end where a base64url
 * character ends: the MAC is taken over the token's own text up to there, header included, and nothing is decoded
 * before it is known to be genuine. The rest of the payload is compared as text too. So one spelling of header and
 * payload passes, and no other: no second encoding, order, duplicate or white space.
 */
export interface TokenParts {
  readonly headerSegment: string;
  /** From the token's first character to the last one under the MAC. */
  readonly signed: string;
  /** The payload's last characters, which carry the MAC. */
  readonly tail: string;
  readonly payload: string;
}

const tailStart = ',"hmac":"';
const tailEnd = '"}';
/** 22 characters of base64url, 132 bits: RFC 2104 section 5 asks for half of the hash, 128 bits, at least. */
const macLength = 22;
const tailStartText = Buffer.from(tailStart).toString("base64url");
const tailTextLength = 44;
/** ES256: 64 bytes, so the last character has four bits that must be 0. */
const signatureShape = /^[A-Za-z0-9_-]{85}[AQgw]$/;
const signatureLength = 86;

/** The payload of `claims` with its MAC, as bytes that a JWS can carry unchanged. */
export function payloadOf(claims: object, headerSegment: string, mac: Mac): Buffer {
  const open = JSON.stringify(claims).slice(0, -1);
  const padding = " ".repeat((3 - (Buffer.byteLength(open) % 3)) % 3);
  const body = Buffer.from(open + padding);
  const text = mac(`${headerSegment}.${body.toString("base64url")}`).slice(0, macLength);
  return Buffer.concat([body, Buffer.from(tailStart + text + tailEnd)]);
}

/** Cuts a token apart by length, without decoding. Undefined for what has another shape. Nothing is verified. */
export function cut(token: string): TokenParts | undefined {
  const headerEnd = token.indexOf(".");
  const payloadEnd = token.length - signatureLength - 1;
  const signedEnd = payloadEnd - tailTextLength;
  if (headerEnd < 1 || signedEnd <= headerEnd || token.charCodeAt(payloadEnd) !== 0x2e) return undefined;
  if (!signatureShape.test(token.slice(payloadEnd + 1))) return undefined;
  return {
    headerSegment: token.slice(0, headerEnd),
    signed: token.slice(0, signedEnd),
    tail: token.slice(signedEnd, payloadEnd),
    payload: token.slice(headerEnd + 1, payloadEnd),
  };
}

/** True when header and payload are, character for character, what was made with the key of `mac`. */
export function isGenuine(parts: TokenParts, mac: Mac): boolean {
  const end = mac(parts.signed).slice(0, macLength) + tailEnd;
  const expected = Buffer.from(tailStartText + Buffer.from(end).toString("base64url"));
  // As UTF-8, not latin1: a character outside ASCII must not fold onto one inside.
  const given = Buffer.from(parts.tail);
  return given.length === expected.length && timingSafeEqual(given, expected);
}
