import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import path from "node:path";

import { reasonOf } from "../unavailable.ts";
import { publishDraft } from "./create-store-file.ts";
import { inspectFile } from "./file-header.ts";
import { protectFiles, storeFileName, syncFile } from "./files.ts";
import { requireFilesOfGateway } from "./files-in-use.ts";
import { clearLock } from "./gateway-lock.ts";
import { readState } from "./state.ts";
import { openTables } from "./tables.ts";

export interface Backup {
  /** Absolute path of the copy. */
  readonly file: string;
  readonly bytes: number;
  /** Number of the last commit in the copy. */
  readonly commit: number;
}

/**
 * Copies the store in `folder` to `target`. This works while a gateway serves from the store: lmdb copies what one read
 * transaction sees, and writers go on. The copy gets its name (mode 0600) only once it is complete, on disk and
 * readable. It names no gateway as its lock holder. Rejects with an Error that an operator can read, also if `target`
 * exists.
 */
export async function backUpStore(folder: string, target: string): Promise<Backup> {
  const file = path.resolve(target);
  const parent = path.dirname(file);
  if (existsSync(file)) throw new Error(`${file} already exists`);
  if (!existsSync(parent)) throw new Error(`the folder ${parent} does not exist`);
  // 0700: nobody else can read the copy before its mode is set.
  const workFolder = mkdtempSync(path.join(parent, ".gatehouse-backup-"));
  try {
    const draft = path.join(workFolder, storeFileName);
    await copyStore(path.resolve(folder, storeFileName), draft);
    const commit = await finish(draft);
    syncFile(draft);
    publishDraft(draft, file);
    syncFile(parent);
    return { file, bytes: statSync(file).size, commit };
  } catch (error) {
    throw new Error(`the store could not be copied to ${file}: ${reasonOf(error)}`, { cause: error });
  } finally {
    rmSync(workFolder, { recursive: true, force: true });
  }
}

async function copyStore(source: string, draft: string): Promise<void> {
  requireFilesOfGateway(source);
  inspectFile(source, { thorough: true });
  const { root } = openTables(source);
  try {
    await root.backup(draft, false);
  } finally {
    await root.close();
  }
}

/** Reads the copy as a gateway would. Removes the lock of the gateway that serves from the original. */
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
