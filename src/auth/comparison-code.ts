import { randomInt } from "node:crypto";

/** The letters of RFC 8628, section 6.1: no vowels, so that they spell no word, and none that are mistaken for others. */
const letters = "BCDFGHJKLMNPQRSTVWXZ";

/** A code for two people, or for one person at two screens, to compare: `BCDF-GHJK`, one of 20^8. */
export function newComparisonCode(): string {
  const code = Array.from({ length: 8 }, () => letters[randomInt(letters.length)]).join("");
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}
