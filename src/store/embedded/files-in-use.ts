import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";

import { AuthError } from "../../auth/errors.ts";
import { isAlive, type LockHolder } from "./gateway-lock.ts";

/** Device and inode of both files: what lmdb has open, whatever has their names later. */
export interface FileIds {
  readonly data: string;
  readonly lock: string;
}

/** What a gateway writes beside the data file while it serves from it. */
interface FilesInUse extends FileIds {
  readonly holder: LockHolder;
}

/** The files that have the names now. */
export function fileIdsAt(path: string): FileIds {
  return { data: idOf(path), lock: idOf(`${path}-lock`) };
}

/** Throws if one of the files was removed, renamed or replaced since it was opened. */
export function requireInPlace(path: string, opened: FileIds): void {
  const { data, lock } = fileIdsAt(path);
  if (data === opened.data && lock === opened.lock) return;
  const name = data === opened.data ? `${path}-lock` : path;
  throw new Error(`${name} was removed or replaced while it was open: stop every process that uses it`);
}

/**
 * Call before anything is opened or created. Throws `conflict` if a gateway serves from other files than those that have
 * the names now: somebody removed or replaced one. NOT noticed: a gateway in another PID namespace. A process that opens a new lock file beside it would write while it writes, and one
 * that opens another data file with its lock file would damage that.
 */
export function requireFilesOfGateway(path: string): void {
  const inUse = readFilesInUse(path);
  if (inUse === undefined || !isAlive(inUse.holder)) return;
  const { data, lock } = fileIdsAt(path);
  if (data === inUse.data && lock === inUse.lock) return;
  const name = data === inUse.data ? `${path}-lock` : path;
  const detail = `process ${inUse.holder.pid} still serves from what was ${name} before: stop it first`;
  throw new AuthError("conflict", { publicMessage: detail, detail });
}

export function writeFilesInUse(path: string, ids: FileIds, holder: LockHolder): void {
  const name = nameFor(path);
  const inUse: FilesInUse = { ...ids, holder };
  // Nobody reads half of it.
  writeFileSync(`${name}.new`, JSON.stringify(inUse), { mode: 0o600 });
  renameSync(`${name}.new`, name);
}

/** Does nothing if another gateway has taken the store over. */
export function removeFilesInUse(path: string, { token }: LockHolder): void {
  if (readFilesInUse(path)?.holder.token === token) rmSync(nameFor(path), { force: true });
}

function readFilesInUse(path: string): FilesInUse | undefined {
  try {
    const read = JSON.parse(readFileSync(nameFor(path), "utf8")) as FilesInUse | null;
    // Whatever else somebody wrote there says nothing.
    return typeof read?.holder?.pid === "number" ? read : undefined;
  } catch {
    return undefined;
  }
}

function nameFor(path: string): string {
  return `${path}-gateway`;
}

function idOf(name: string): string {
  const stats = statSync(name, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? "none" : `${stats.dev}:${stats.ino}`;
}
