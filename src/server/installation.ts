import { existsSync, statSync } from "node:fs";
import path from "node:path";

import { recordKeys } from "../auth/record-keys.ts";
import { readRecord, type Store } from "../auth/store.ts";
import type { Log } from "../observability/log.ts";
import { storeFileName } from "../store/embedded/files.ts";
import { OperatorError } from "./config/problems.ts";
import type { Config } from "./config/schema.ts";

/** There is no installation at the configured place. `message` names the place, and what creates one. */
export class InstallationError extends OperatorError {
  constructor(message: string) {
    super(message);
    this.name = "InstallationError";
  }
}

const howToCreate = "`gatehouse serve` and `gatehouse users add --owner` create one";

/** Call before the embedded store is opened, because that creates its file. Throws `InstallationError`. */
export function requireStoreFile({ data, store }: Pick<Config, "data" | "store">): void {
  if (store !== null) return;
  const file = path.resolve(data, storeFileName);
  refuseOtherThanFile(file);
  if (!existsSync(file) || statSync(file).size === 0)
    throw new InstallationError(
      `there is no store in ${path.resolve(data)}: give the gateway's --data, --store or --config; ${howToCreate}`,
    );
}

/** Of the embedded store's file: a folder or a device in its place. Throws `InstallationError`. */
export function refuseOtherThanFile(file: string): void {
  if (existsSync(file) && !statSync(file).isFile())
    throw new InstallationError(`${file} is no file, so it cannot be the store: give another --data`);
}

/** Call before the keys of the installation are read, because that creates them. Throws `InstallationError`. */
export async function requireKeys(store: Store): Promise<void> {
  if (!(await isInstalled(store)))
    throw new InstallationError(
      `the ${store.kind} store holds no installation: give the gateway's --data, --store or --config; ${howToCreate}`,
    );
}

/** True if an installation was ever created in the store. */
export async function isInstalled(store: Store): Promise<boolean> {
  return (await readRecord(store, recordKeys.keyring)) !== undefined;
}

/**
 * With a given secret this is either a first start, or everything but the secret was lost. Nothing distinguishes the
 * two.
 */
export function warnOfNewInstallation(
  { data, store }: Pick<Config, "data" | "store">,
  log: Pick<Log, "warn"> | undefined,
): void {
  log?.warn(
    store === null ? { data: path.resolve(data) } : { store: "redis" },
    "no installation was found for the given secret: created a new one, without users; if there was one, its data is lost or elsewhere: stop, and restore a backup or configure the right place",
  );
}
