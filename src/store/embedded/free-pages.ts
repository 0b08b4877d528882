import { damagedPages } from "./file-format.ts";

/**
 * Checks a list of free pages: none of them is one that `claimed` holds, or outside the file, and adds them there.
 *
 * lmdb-js writes how many words follow, then page numbers, each of which a negative word may come before that says how
 * many pages begin there, and zeros. What lies behind the words that count is not read by lmdb either.
 */
export function claimFreePages(list: Buffer, lastPage: number, claimed: Set<number>): void {
  const words = Array.from({ length: list.length >> 3 }, (_, at) => Number(list.readBigInt64LE(at * 8)));
  const count = words[0];
  if (count === undefined || count < 0 || count >= words.length) throw damagedPages();
  let length = 1;
  for (const word of words.slice(1, count + 1)) {
    if (word < 0) {
      length = -word;
      continue;
    }
    if (word !== 0) claim(word, length);
    length = 1;
  }

  function claim(first: number, pages: number): void {
    // The first two pages are the headers.
    if (first < 2 || first + pages > lastPage + 1) throw damagedPages();
    for (let page = first; page < first + pages; page += 1) {
      if (claimed.has(page)) throw damagedPages();
      claimed.add(page);
    }
  }
}
