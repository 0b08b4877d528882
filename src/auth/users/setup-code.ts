import { createHash, timingSafeEqual } from "node:crypto";

import type { Sealing } from "../tokens/sealing.ts";

/** Crockford's base32: no letter that looks like another or like a digit. */
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const length = 20;
const groupLength = 5;

/** 100 bits in four groups of five, derived from the installation's secret and id. Nothing is stored. */
export function setupCodeOf(sealing: Sealing, instanceId: string): string {
  const bytes = sealing.derive(`set-up code 1 ${instanceId}`);
  // 256 is a multiple of 32, so five bits of each byte are uniform.
  const letters = [...bytes.subarray(0, length)].map((byte) => alphabet.charAt(byte & 31));
  const groups: string[] = [];
  for (let start = 0; start < length; start += groupLength)
    groups.push(letters.slice(start, start + groupLength).join(""));
  return groups.join("-");
}

/** Compares in constant time. Case, dashes and blanks are ignored, and O, I and L are read as digits. */
export function isSetupCode(given: string, expected: string): boolean {
  return timingSafeEqual(digest(plain(given)), digest(plain(expected)));
}

function plain(code: string): string {
  return code.toUpperCase().replaceAll(/[\s-]/g, "").replaceAll("O", "0").replaceAll(/[IL]/g, "1");
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
