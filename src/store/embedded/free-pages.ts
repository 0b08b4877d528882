import { damagedPages } from "./file-format.ts";
import type { PageClaims } from "./page-claims.ts";

/**
 * Claims the pages of a list of free pages. Throws `DamageError` where one of them has an owner, or the list cannot be one.
 *
 * lmdb-js writes how many words follow, then page numbers, each of which a negative word may come before that says how
 * many pages begin there, and zeros. What lies behind the words that count is not read by lmdb either.
 */
export function claimFreePages(list: Buffer, claims: PageClaims): void {
  const words = Array.from({ length: list.length >> 3 }, (_, at) => Number(list.readBigInt64LE(at * 8)));
  const count = words[0];
  if (count === undefined || count < 0 || count >= words.length) throw damagedPages();
  let length = 1;
  for (const word of words.slice(1, count + 1)) {
    if (word < 0) {
      length = -word;
      continue;
    }
    if (word !== 0) claims.claim(word, length);
    length = 1;
  }
}
