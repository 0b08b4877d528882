import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import path from "node:path";

/** The store's files in its folder: lmdb's data file, and beside it lmdb's lock file (`-lock`). */
export const storeFileName = "gatehouse.mdb";

/**
 * Makes the folder (0700) and both files (0600) where they are missing, so that lmdb never creates one with a wider
 * mode, and syncs the directories: a new file's name is durable too. A folder that exists keeps its mode. Returns the
 * data file's path.
 */
export function prepareFiles(folder: string): string {
  const absolute = path.resolve(folder);
  const made = mkdirSync(absolute, { recursive: true, mode: 0o700 });
  const file = path.join(absolute, storeFileName);
  const fresh = !existsSync(file);
  for (const name of [file, `${file}-lock`]) {
    closeSync(openSync(name, "a", 0o600));
    if ((statSync(name).mode & 0o777) !== 0o600) chmodSync(name, 0o600);
  }
  if (fresh) syncFolder(absolute);
  if (made !== undefined) syncParents(path.dirname(made), absolute);
  return file;
}

function syncParents(top: string, folder: string): void {
  for (let at = path.dirname(folder); at.length >= top.length; at = path.dirname(at)) {
    syncFolder(at);
    if (at === path.dirname(at)) return;
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
