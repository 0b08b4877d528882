import { damagedPages } from "./file-format.ts";

/** Which pages somebody has: a page that is in two places is damage, and could be walked for ever. */
export class PageClaims {
  /** A byte for each page. */
  readonly #claimed: Uint8Array;

  /** `lastPage`: of those that were ever used. The first two are the headers. */
  constructor(lastPage: number) {
    this.#claimed = new Uint8Array(lastPage + 1).fill(1, 0, 2);
  }

  /** Throws `DamageError` where one of the pages is outside the file, or is claimed already. */
  claim(first: number, count: number): void {
    if (count < 1 || first < 0 || first + count > this.#claimed.length) throw damagedPages();
    for (let page = first; page < first + count; page += 1) {
      if (this.#claimed[page] !== 0) throw damagedPages();
      this.#claimed[page] = 1;
    }
  }
}
