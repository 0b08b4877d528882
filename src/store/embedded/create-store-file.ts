import { randomUUID } from "node:crypto";
import { linkSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import path from "node:path";

import { protectFiles, syncFile } from "./files.ts";
import { openTables } from "./tables.ts";

/** A draft that is older than this is nobody's any more, ms. */
const abandonedMs = 3_600_000;

/**
 * Makes an empty store at `file`. lmdb writes a new file in several steps, and one that a power failure left in the middle
 * of them is damaged for good: it gets its name only once it is whole and on disk. Of several processes that make it at
 * once one does, and the others use it.
 */
export async function createStoreFile(file: string): Promise<void> {
  const folder = path.dirname(file);
  removeAbandoned(file);
  const draft = `${file}.${randomUUID()}.new`;
  try {
    protectFiles(draft);
    await openTables(draft).root.close();
    syncFile(draft);
    giveName(draft, file);
    syncFile(folder);
  } finally {
    for (const name of [draft, `${draft}-lock`]) rmSync(name, { force: true });
  }
}

/** A name that is taken stays as it is, unless it was taken just now on a file system without hard links. */
export function giveName(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Not every file system has hard links. A rename takes the name also from who was a moment faster.
    if (code === "EPERM" || code === "ENOTSUP" || code === "ENOSYS") renameSync(draft, file);
    else if (code !== "EEXIST") throw error;
  }
}

function removeAbandoned(file: string): void {
  const folder = path.dirname(file);
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${path.basename(file)}.`) || !/\.new(-lock)?$/.test(name)) continue;
    const draft = path.join(folder, name);
    const stats = statSync(draft, { throwIfNoEntry: false });
    if (stats !== undefined && Date.now() - stats.mtimeMs > abandonedMs) rmSync(draft, { force: true });
  }
}
