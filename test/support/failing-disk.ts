import { execFile } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { type TemporaryFolder, temporaryFolder } from "./temporary-folder.ts";

/** How the calls on one file behave; see failing-disk.c. */
export type DiskWord = "well" | "write-eio" | "write-enospc" | "write-short" | "sync-eio" | "full" | "tight";

/** A disk that fails on demand, for one file, in processes that are started with `env`. */
export interface FailingDisk {
  readonly env: Readonly<Record<string, string>>;
  /** Takes effect from the next call on. */
  say(word: DiskWord): void;
  dispose(): void;
}

const source = fileURLToPath(new URL("./failing-disk.c", import.meta.url));

/** `file` is an absolute path without symbolic links, or a prefix of one. */
export async function makeFailingDisk(file: string): Promise<FailingDisk> {
  const folder: TemporaryFolder = temporaryFolder();
  const library = path.join(folder.path, "failing-disk.so");
  const word = path.join(folder.path, "word");
  await promisify(execFile)("gcc", ["-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl"]);
  return {
    env: { LD_PRELOAD: library, FAILING_DISK_FILE: file, FAILING_DISK_WORD: word },
    say(next) {
      // Renamed into place, so that nobody reads half a word.
      writeFileSync(`${word}.next`, next);
      renameSync(`${word}.next`, word);
    },
    dispose: () => folder.remove(),
  };
}
