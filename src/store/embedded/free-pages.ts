import { damagedPages } from "./file-format.ts";
import type { PageClaims } from "./page-claims.ts";

/**
 * Claims the pages of one list of free pages. Throws `DamageError` if a page is claimed already, or if the list cannot
 * be one.
 *
 * lmdb-js writes the number of words, then page numbers, then zeros. A negative word before a page number gives the
 * length of a run that begins there. Neither lmdb nor this function reads behind the counted words.
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
