import { reasonOf } from "../unavailable.ts";
import { prepareFiles, refuseTruncated } from "./files.ts";
import { openTables, type Tables } from "./tables.ts";

/**
 * The lmdb file while it is open. Opening is the only synchronous write, so one process opens a folder while none of
 * its own commits there is under way.
 */
export class StoreFile {
  readonly path: string;
  #tables: Tables | undefined;

  private constructor(path: string, tables: Tables) {
    this.path = path;
    this.#tables = tables;
  }

  /** Throws an Error that names the file for one that cannot be opened, is damaged or belongs to something else. */
  static open(folder: string): StoreFile {
    const path = prepareFiles(folder);
    return new StoreFile(path, openNamed(path));
  }

  get tables(): Tables {
    if (this.#tables === undefined) throw new Error("the store is closed");
    return this.#tables;
  }

  /** As `tables`, seeing every commit that any process has finished by now. */
  get fresh(): Tables {
    const tables = this.tables;
    tables.root.resetReadTxn();
    return tables;
  }

  /**
   * Runs `work` in a write transaction; resolves when it is on disk. A throw of `work` aborts all of it. The child
   * transaction is what can be aborted: a throw in a plain one would commit what it had written so far.
   */
  async transact<T>(work: (tables: Tables) => T): Promise<T> {
    const tables = this.tables;
    try {
      return await tables.root.childTransaction(() => work(tables));
    } catch (error) {
      throw await rootCause(error);
    }
  }

  async close(): Promise<void> {
    const tables = this.#tables;
    this.#tables = undefined;
    await tables?.root.close();
  }
}

function openNamed(path: string): Tables {
  try {
    refuseTruncated(path);
    return openTables(path);
  } catch (error) {
    throw new Error(`cannot open the store ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** lmdb-js rejects a failed commit with a promise for the reason beside it; left alone that is an unhandled rejection. */
async function rootCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}
