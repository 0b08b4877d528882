import { randomUUID } from "node:crypto";
import { linkSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import path from "node:path";

import { protectFiles, syncFile } from "./files.ts";
import { openTables } from "./tables.ts";

/** Age in ms after which a draft counts as abandoned. */
const abandonedMs = 3_600_000;

/**
 * Makes an empty store at `file`. lmdb writes a new file in several steps, and a power failure between them damages the
 * file for good. So the file gets its name only once it is complete and on disk. If several processes make it at once,
 * one wins and the others use its file.
 */
export async function createStoreFile(file: string): Promise<void> {
  const folder = path.dirname(file);
  removeAbandoned(file);
  const draft = `${file}.${randomUUID()}.new`;
  try {
    protectFiles(draft);
    await openTables(draft).root.close();
    syncFile(draft);
    publishDraft(draft, file);
    syncFile(folder);
  } finally {
    for (const name of [draft, `${draft}-lock`]) rmSync(name, { force: true });
  }
}

/**
 * Never replaces a file that exists. Exception: on a file system without hard links, a file that was created at the
 * same moment.
 */
export function publishDraft(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Not every file system has hard links. A rename also replaces a file that another process created a moment earlier.
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
