import { accessSync, constants, existsSync, statSync } from "node:fs";
import path from "node:path";

import { requireStoreFile } from "../server/installation.ts";
import { backUpStore } from "../store/embedded/backup.ts";
import { type ConfigFlags, configurationOf } from "./configuration.ts";
import { type Output, systemCode, UsageError } from "./output.ts";

/** Copies the embedded store to `file`, which must not exist. Redis has its own backups. */
export async function backup(
  file: string,
  flags: ConfigFlags,
  environment: { readonly env: Readonly<Record<string, string | undefined>> },
  output: Output,
): Promise<void> {
  const config = configurationOf(flags, environment.env);
  if (config.store !== null)
    throw new UsageError("this command backs up the embedded store; use Redis' own means for a Redis store");
  requireStoreFile(config);
  requireNewFile(file);
  const {
    file: made,
    bytes,
    commit,
  } = await backUpStore(config.data, file).catch((error: unknown) => {
    throw isOfPlace(error) ? new UsageError(error.message) : error;
  });
  const text = `${made}: ${bytes} bytes, up to commit ${commit}; the secret is not in it, keep it elsewhere`;
  output.result({ file: made, bytes, commit }, text);
}

/** Whether a new file can have this name. Throws `UsageError` that says what is in its way. */
function requireNewFile(name: string): void {
  const file = path.resolve(name);
  const folder = path.dirname(file);
  if (name === "") throw new UsageError("give the name of a new file");
  if (existsSync(file)) throw new UsageError(`${file} exists: give another file`);
  if (!existsSync(folder)) throw new UsageError(`the folder ${folder} does not exist`);
  if (!statSync(folder).isDirectory()) throw new UsageError(`${folder} is no folder`);
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new UsageError(`nothing can be written to the folder ${folder} (${systemCode(error) ?? "error"})`);
  }
}

/** What a check beforehand cannot see, or what has changed since. */
const faultsOfPlace: ReadonlySet<string | undefined> = new Set([
  "EACCES",
  "EEXIST",
  "ENAMETOOLONG",
  "ENOENT",
  "ENOTDIR",
  "EPERM",
  "EROFS",
]);

function isOfPlace(error: unknown): error is Error {
  return error instanceof Error && faultsOfPlace.has(systemCode(error));
}
