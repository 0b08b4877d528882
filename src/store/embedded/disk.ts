import {
  closeSync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import path from "node:path";

/**
 * Bytes that have to be free for a write. With less than `forAll` only what takes rights away is written, in small batches,
 * which take less than `forRevoking`: revoking is the last thing that stops.
 */
export const leastFree = { forAll: 16 * 1_048_576, forRevoking: 4 * 1_048_576 } as const;
/** As large as lmdb's. */
const page = Buffer.alloc(4_096, 1);
/** How old an answer of the disk may be, where many transactions follow one another. */
const freshMs = 10;

/**
 * The disk under the store's file, asked before lmdb writes to it, which costs some 3 microseconds. lmdb-js (3.5.6) must
 * not be the one that finds out that a page cannot be written: to describe that error it prints some 110 characters into
 * 100 bytes (`mdb_page_flush` in its mdb.c), and after one or several times glibc ends the process for it. A disk that
 * begins to fail in the middle of a transaction is found out by lmdb all the same.
 */
export class Disk {
  readonly #file: string;
  /** Of a file without a name beside the store's: it ends with the process. */
  readonly #probe: number;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #free = 0;

  constructor(file: string) {
    const name = `${file}-probe`;
    this.#file = file;
    this.#probe = openSync(name, "w", 0o600);
    rmSync(name, { force: true });
  }

  /** Throws when there is too little room, or what a write, and with `synced` a sync, fails with. */
  require({ synced, revokes }: { readonly synced: boolean; readonly revokes: boolean }): void {
    const now = performance.now();
    if (synced || now - this.#answeredAt >= freshMs) {
      this.#look();
      this.#requireRoom(revokes);
      this.#tryToWrite(synced);
      this.#answeredAt = now;
    } else this.#requireRoom(revokes);
  }

  /** Too little room for anything but what takes rights away. Throws what the disk fails with. */
  get isTight(): boolean {
    if (performance.now() - this.#answeredAt >= freshMs) this.#look();
    return this.#free < leastFree.forAll;
  }

  close(): void {
    closeSync(this.#probe);
  }

  #look(): void {
    const { blocks, bavail, bsize } = statfsSync(path.dirname(this.#file));
    // A file system that does not count has nothing to say here.
    this.#free = blocks > 0 ? bavail * bsize : Number.POSITIVE_INFINITY;
  }

  #requireRoom(revokes: boolean): void {
    const least = revokes ? leastFree.forRevoking : leastFree.forAll;
    if (this.#free >= least) return;
    const also = revokes ? "" : ": only what takes rights away is written";
    throw new Error(`less than ${least / 1_048_576} MiB are free on the disk${also}`);
  }

  #tryToWrite(synced: boolean): void {
    // Anew, or where it was written before there is always room. Not each time: fdatasync of the store's file pays for it.
    if (synced) ftruncateSync(this.#probe, 0);
    // Where the file's next page would be: the size of files may be limited too.
    const written = writeSync(this.#probe, page, 0, page.length, statSync(this.#file).size);
    if (written < page.length) throw new Error("the disk took a part of what was written");
    if (synced) fdatasyncSync(this.#probe);
  }
}
