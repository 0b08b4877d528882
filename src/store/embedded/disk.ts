import { closeSync, fdatasyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import path from "node:path";

/** With less than this free, bytes, nothing is written: more than all but the largest batches take. */
export const leastFree = 16 * 1_048_576;
/** More than lmdb's page; less than what has to be free. */
const probe = Buffer.alloc(65_536, 1);

/**
 * lmdb-js (3.5.6) must not be the one that finds out that a page cannot be written: to describe that error it prints some
 * 110 characters into 100 bytes (`mdb_page_flush` in its mdb.c), and after one or several times glibc ends the process for
 * it. So both of these are asked first, this one before every transaction. It throws when the disk is nearly full.
 */
export function requireRoom(file: string): void {
  const { blocks, bavail, bsize } = statfsSync(path.dirname(file));
  // A file system that does not count has nothing to say here.
  if (blocks > 0 && bavail * bsize < leastFree)
    throw new Error(`less than ${leastFree / 1_048_576} MiB are free on the disk`);
}

/**
 * After a write failed, before the next one: throws what writing and syncing beside the file fails with. Written where
 * the file's next page would be, because a limit on the size of files counts too.
 */
export function requireWritable(file: string): void {
  const name = `${file}-probe`;
  const handle = openSync(name, "w", 0o600);
  try {
    const written = writeSync(handle, probe, 0, probe.length, statSync(file).size);
    if (written < probe.length) throw new Error("the disk took a part of what was written");
    fdatasyncSync(handle);
  } finally {
    closeSync(handle);
    rmSync(name, { force: true });
  }
}
