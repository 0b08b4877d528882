import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import path from "node:path";

/** The store's files in its folder: lmdb's data file, and beside it lmdb's lock file (`-lock`). */
export const storeFileName = "gatehouse.mdb";

/**
 * Makes the folder where it is missing (0700), durably. A folder that exists keeps its mode. Returns the path that the
 * data file has or will have.
 */
export function prepareFolder(folder: string): string {
  const absolute = path.resolve(folder);
  const made = mkdirSync(absolute, { recursive: true, mode: 0o700 });
  if (made !== undefined) syncParents(path.dirname(made), absolute);
  return path.join(absolute, storeFileName);
}

/** Makes both files where they are missing, so that lmdb never creates one with a wider mode than 0600. */
export function protectFiles(file: string): void {
  for (const name of [file, `${file}-lock`]) {
    closeSync(openSync(name, "a", 0o600));
    if ((statSync(name).mode & 0o777) !== 0o600) chmodSync(name, 0o600);
  }
}

function syncParents(top: string, folder: string): void {
  for (let at = path.dirname(folder); at.length >= top.length; at = path.dirname(at)) {
    syncFile(at);
    if (at === path.dirname(at)) return;
  }
}

/** Of a folder: the names in it. */
export function syncFile(file: string): void {
  const handle = openSync(file, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
