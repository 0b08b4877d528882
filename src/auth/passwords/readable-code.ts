import { hash, randomBytes, timingSafeEqual } from "node:crypto";

/** Crockford's base32: no letter that looks like another or like a digit. */
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const length = 20;
const groupLength = 5;

/** 100 bits in four groups of five, from bytes that are uniform. */
export function readableCode(bytes: Uint8Array = randomBytes(length)): string {
  // 256 is a multiple of 32, so five bits of each byte are uniform.
  const letters = [...bytes.subarray(0, length)].map((byte) => alphabet.charAt(byte & 31));
  const groups: string[] = [];
  for (let start = 0; start < length; start += groupLength)
    groups.push(letters.slice(start, start + groupLength).join(""));
  return groups.join("-");
}

/** Compares in constant time. Case, dashes and blanks are ignored, and O, I and L are read as digits. */
export function isSameCode(given: string, expected: string): boolean {
  return timingSafeEqual(digestOfCode(given), digestOfCode(expected));
}

/** The same for every spelling of a code. */
export function digestOfCode(code: string): Buffer {
  const plain = code.toUpperCase().replaceAll(/[\s-]/g, "").replaceAll("O", "0").replaceAll(/[IL]/g, "1");
  return hash("sha256", plain, "buffer");
}
