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
 * Bytes that must be free for a write. Below `forAll` only revocations are written, in small batches that take less
 * than `forRevoking`. Revoking is the last operation to stop.
 */
export const minFreeBytes = { forAll: 16 * 1_048_576, forRevoking: 4 * 1_048_576 } as const;
/** lmdb's page size. */
const page = Buffer.alloc(4_096, 1);
/** How long a result of the check is reused, ms, for transactions that follow each other closely. */
const checkMaxAgeMs = 10;

/**
 * Checks the disk under the store's file before lmdb writes to it, at a cost of some 3 microseconds. lmdb-js (3.5.6)
 * must not be the first to find out that a page cannot be written: to describe that error it prints some 110 characters
 * into 100 bytes (`mdb_page_flush` in its mdb.c), and after one or several times glibc aborts the process. If a disk
 * begins to fail in the middle of a transaction, lmdb still finds out first.
 */
export class Disk {
  readonly #file: string;
  /** Descriptor of an unnamed file beside the store's file. It ends with the process. */
  readonly #probe: number;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #free = 0;

  constructor(file: string) {
    const name = `${file}-probe`;
    this.#file = file;
    this.#probe = openSync(name, "w", 0o600);
    rmSync(name, { force: true });
  }

  /** Throws if there is too little room, or the error of a test write. With `synced`, also the error of a test sync. */
  require({ synced, revokes }: { readonly synced: boolean; readonly revokes: boolean }): void {
    const now = performance.now();
    if (synced || now - this.#checkedAt >= checkMaxAgeMs) {
      this.#measure();
      this.#requireRoom(revokes);
      this.#tryToWrite(synced);
      this.#checkedAt = now;
    } else this.#requireRoom(revokes);
  }

  /** True if there is room only for revocations. Throws the disk's error. */
  get isNearlyFull(): boolean {
    if (performance.now() - this.#checkedAt >= checkMaxAgeMs) this.#measure();
    return this.#free < minFreeBytes.forAll;
  }

  close(): void {
    closeSync(this.#probe);
  }

  #measure(): void {
    const { blocks, bavail, bsize } = statfsSync(path.dirname(this.#file));
    // Some file systems report no block counts: then the space is not checked.
    this.#free = blocks > 0 ? bavail * bsize : Number.POSITIVE_INFINITY;
  }

  #requireRoom(revokes: boolean): void {
    const least = revokes ? minFreeBytes.forRevoking : minFreeBytes.forAll;
    if (this.#free >= least) return;
    const also = revokes ? "" : ": only what takes rights away is written";
    throw new Error(`less than ${least / 1_048_576} MiB are free on the disk${also}`);
  }

  #tryToWrite(synced: boolean): void {
    // Truncate: a block that was written before would always have room. Not on each call, because the next fdatasync of
    // the store's file pays for it.
    if (synced) ftruncateSync(this.#probe, 0);
    // The offset of the file's next page: the size of files may be limited too.
    const written = writeSync(this.#probe, page, 0, page.length, statSync(this.#file).size);
    if (written < page.length) throw new Error("the disk took only a part of a write");
    if (synced) fdatasyncSync(this.#probe);
  }
}
