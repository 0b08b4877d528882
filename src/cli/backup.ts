import { InstallationError, requireStoreFile } from "../server/installation.ts";
import { backUpStore } from "../store/embedded/backup.ts";
import { type ConfigFlags, configurationOf } from "./configuration.ts";
import { type Output, UsageError } from "./output.ts";

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
  try {
    requireStoreFile(config);
  } catch (error) {
    throw error instanceof InstallationError ? new UsageError(error.message) : error;
  }
  const { file: made, bytes, commit } = await backUpStore(config.data, file);
  const text = `${made}: ${bytes} bytes, up to commit ${commit}; the secret is not in it, keep it elsewhere`;
  output.result({ file: made, bytes, commit }, text);
}
