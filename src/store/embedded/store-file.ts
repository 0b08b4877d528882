import { existsSync } from "node:fs";

import { reasonOf } from "../unavailable.ts";
import { createStoreFile } from "./create-store-file.ts";
import { asDamageError } from "./damage.ts";
import { Disk } from "./disk.ts";
import { inspectFile } from "./file-header.ts";
import { prepareFolder, protectFiles } from "./files.ts";
import {
  type FileIds,
  fileIdsAt,
  removeFilesInUse,
  requireFilesOfGateway,
  requireInPlace,
  writeFilesInUse,
} from "./files-in-use.ts";
import type { LockHolder } from "./gateway-lock.ts";
import { isWriting, trackWrite, writesSettled } from "./pending-writes.ts";
import { openTables, type Tables } from "./tables.ts";

/** lmdb's words if the lock of this process's id is taken. */
const sameProcessId = /No transaction to renew|No current read transaction/;
/** How long to wait after a failed attempt to open the file again, ms. */
const reopenEveryMs = 250;

/** The lmdb file while the store is open. Opening it is the only synchronous write. */
export class StoreFile {
  readonly path: string;
  readonly #disk: Disk;
  readonly #ids: FileIds;
  #tables: Tables | undefined;
  #closed = false;
  #closing = false;
  #triedAt = Number.NEGATIVE_INFINITY;
  /** A write of lmdb's failed: the environment must be opened anew, and the disk must sync something first. */
  #needsReopen = false;
  #suspect = false;

  private constructor(path: string, tables: Tables, disk: Disk) {
    this.path = path;
    this.#ids = fileIdsAt(path);
    this.#tables = tables;
    this.#disk = disk;
  }

  /** Rejects with an Error that names the file if it cannot be opened, is damaged, or belongs to another program. */
  static async open(folder: string): Promise<StoreFile> {
    const path = prepareFolder(folder);
    requireFilesOfGateway(path);
    if (!existsSync(path)) await createStoreFile(path);
    protectFiles(path);
    await writesSettled(path);
    const disk = new Disk(path);
    try {
      return new StoreFile(path, openNamed(path, { thorough: true }), disk);
    } catch (error) {
      disk.close();
      throw error;
    }
  }

  get tables(): Tables {
    if (this.#closed) throw new Error("the store is closed");
    // lmdb-js would return the environment that is being closed.
    if (this.#closing) throw new Error("the store is being opened again");
    this.#tables ??= this.#openAgain();
    return this.#tables;
  }

  /** As `tables`, with every commit that any process has finished by now. */
  get latest(): Tables {
    const tables = this.tables;
    tables.root.resetReadTxn();
    return tables;
  }

  /**
   * Runs `work` in a write transaction; resolves once it is on disk. A throw of `work` aborts all of it. This needs the
   * child transaction: a throw in a plain one would commit what was written before it. `revokes`: the write takes
   * rights away and may use the last free space.
   */
  async transact<T>(work: (tables: Tables) => T, { revokes = false } = {}): Promise<T> {
    const tables = this.tables;
    this.requireInPlace();
    this.#disk.require({ synced: this.#suspect, revokes });
    this.#suspect = false;
    try {
      return await trackWrite(this.path, () => tables.root.childTransaction(() => work(tables)));
    } catch (error) {
      this.#needsReopen = true;
      this.#suspect = true;
      throw await rootCause(error);
    }
  }

  /**
   * Opens the file again after a failed write, before the next one. lmdb gives up an environment if it could not write
   * the meta page, and lmdb-js then waits for ever in the next transaction. A reopened file shows what is on disk. If
   * lmdb itself did not fail, there is nothing to do.
   */
  async reopen(): Promise<void> {
    if (!this.#needsReopen) return;
    this.#needsReopen = false;
    // lmdb-js finishes the failed write's work after this turn.
    await new Promise((resolve) => setImmediate(resolve));
    const tables = this.#tables;
    this.#tables = undefined;
    this.#triedAt = Number.NEGATIVE_INFINITY;
    this.#closing = true;
    try {
      await tables?.root.close();
    } finally {
      this.#closing = false;
    }
  }

  /** Throws if one of the files was removed or replaced: others would not see what is written, nor this what they write. */
  requireInPlace(): void {
    requireInPlace(this.path, this.#ids);
  }

  /** From now until `leaveToOthers` nobody opens other files in the place of these. */
  claim(holder: LockHolder): void {
    writeFilesInUse(this.path, this.#ids, holder);
  }

  leaveToOthers(holder: LockHolder): void {
    removeFilesInUse(this.path, holder);
  }

  /** True if there is room only for revocations. */
  get isNearlyFull(): boolean {
    return this.#disk.isNearlyFull;
  }

  async close(): Promise<void> {
    if (!this.#closed) this.#disk.close();
    this.#closed = true;
    const tables = this.#tables;
    this.#tables = undefined;
    await tables?.root.close();
  }

  #openAgain(): Tables {
    const now = performance.now();
    if (now - this.#triedAt < reopenEveryMs || isWriting(this.path))
      throw new Error(`cannot open the store ${this.path} again yet`);
    this.#triedAt = now;
    this.requireInPlace();
    return openNamed(this.path, { thorough: false });
  }
}

function openNamed(path: string, how: { readonly thorough: boolean }): Tables {
  try {
    inspectFile(path, how);
    return openTables(path);
  } catch (thrown) {
    const error = asDamageError(thrown, { reads: true });
    const hint = sameProcessId.test(reasonOf(error))
      ? `: a process with the id ${process.pid}, which this one has too, has it open in another container: run the command in that one`
      : "";
    throw new Error(`cannot open the store ${path}: ${reasonOf(error)}${hint}`, { cause: error });
  }
}

/**
 * lmdb-js rejects a failed commit and also keeps a promise for the reason. If nobody handles that promise, it is an
 * unhandled rejection.
 */
async function rootCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}
