import { damagedPages } from "./file-format.ts";

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

/** Which pages are in use. A page that is in two places is damage, and a walk could loop on it for ever. */
export class PageClaims {
  /** One byte for each page. */
  readonly #claimed: Uint8Array;

  /** `lastPage` is the highest page number that was ever used. The first two pages are the headers. */
  constructor(lastPage: number) {
    this.#claimed = new Uint8Array(lastPage + 1).fill(1, 0, 2);
  }

  /** Throws `DamageError` if a page is outside the file or is claimed already. */
  claim(first: number, count: number): void {
    if (count < 1 || first < 0 || first + count > this.#claimed.length) throw damagedPages();
    for (let page = first; page < first + count; page += 1) {
      if (this.#claimed[page] !== 0) throw damagedPages();
      this.#claimed[page] = 1;
    }
  }
}
