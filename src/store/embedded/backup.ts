import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import path from "node:path";

import { reasonOf } from "../unavailable.ts";
import { giveName } from "./create-store-file.ts";
import { inspectFile } from "./file-header.ts";
import { protectFiles, storeFileName, syncFile } from "./files.ts";
import { clearLock } from "./gateway-lock.ts";
import { readState } from "./state.ts";
import { openTables } from "./tables.ts";

export interface Backup {
  /** The copy, an absolute path. */
  readonly file: string;
  readonly bytes: number;
  /** The number of the last commit in it. */
  readonly commit: number;
}

/**
 * Copies the store in `folder` to `target`, also while a gateway serves from it: lmdb copies what one read transaction
 * sees, and writers go on beside it. The copy gets its name (mode 0600) once it is whole, on disk and readable, and names
 * no gateway as its holder. Rejects with an Error for people, also where `target` is there already.
 */
export async function backUpStore(folder: string, target: string): Promise<Backup> {
  const file = path.resolve(target);
  const parent = path.dirname(file);
  if (existsSync(file)) throw new Error(`${file} is there already`);
  if (!existsSync(parent)) throw new Error(`there is no folder ${parent}`);
  // 0700: nobody else sees the copy before its mode is right.
  const workshop = mkdtempSync(path.join(parent, ".gatehouse-backup-"));
  try {
    const draft = path.join(workshop, storeFileName);
    await copyStore(path.resolve(folder, storeFileName), draft);
    const commit = await finish(draft);
    syncFile(draft);
    giveName(draft, file);
    syncFile(parent);
    return { file, bytes: statSync(file).size, commit };
  } catch (error) {
    throw new Error(`the store could not be copied to ${file}: ${reasonOf(error)}`, { cause: error });
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

async function copyStore(source: string, draft: string): Promise<void> {
  inspectFile(source, { thorough: true });
  const { root } = openTables(source);
  try {
    await root.backup(draft, false);
  } finally {
    await root.close();
  }
}

/** Reads the copy as a gateway would, and takes the name of the one that serves from the original out of it. */
async function finish(draft: string): Promise<number> {
  protectFiles(draft);
  inspectFile(draft, { thorough: true });
  const tables = openTables(draft);
  try {
    await tables.root.transaction(() => clearLock(tables));
    return readState(tables).commits;
  } finally {
    await tables.root.close();
  }
}
