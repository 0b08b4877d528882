import { damagedPages } from "./file-format.ts";

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
