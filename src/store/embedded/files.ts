import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import path from "node:path";

/** Name of lmdb's data file in the store's folder. lmdb's lock file is beside it, with the suffix `-lock`. */
export const storeFileName = "gatehouse.mdb";

/**
 * Creates the folder durably (0700) if it is missing. An existing folder keeps its mode. Returns the path of the data
 * file, which need not exist yet.
 */
export function prepareFolder(folder: string): string {
  const absolute = path.resolve(folder);
  const made = mkdirSync(absolute, { recursive: true, mode: 0o700 });
  if (made !== undefined) syncParents(path.dirname(made), absolute);
  return path.join(absolute, storeFileName);
}

/**
 * Creates both files if they are missing, so that lmdb never creates one with a wider mode than 0600. Does not open a file
 * that exists: a process loses its locks on a file once it closes any descriptor of it (POSIX, fcntl). If this process has
 * the store open, the next one to open it would believe that it is alone, and would set up lmdb's locks anew.
 */
export function protectFiles(file: string): void {
  for (const name of [file, `${file}-lock`]) {
    if (!existsSync(name)) createFile(name);
    if ((statSync(name).mode & 0o777) !== 0o600) chmodSync(name, 0o600);
  }
}

function createFile(name: string): void {
  try {
    closeSync(openSync(name, "wx", 0o600));
  } catch (error) {
    // Another process created it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function syncParents(top: string, folder: string): void {
  for (let at = path.dirname(folder); at.length >= top.length; at = path.dirname(at)) {
    syncFile(at);
    if (at === path.dirname(at)) return;
  }
}

/** For a folder this syncs its directory entries. */
export function syncFile(file: string): void {
  const handle = openSync(file, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
