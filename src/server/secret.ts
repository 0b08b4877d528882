import { randomBytes, timingSafeEqual } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";

import { storeFileName, syncFile } from "../store/embedded/files.ts";
import { OperatorError } from "./config/problems.ts";
import type { Config } from "./config/schema.ts";

const minCharacters = 32;
const maxCharacters = 1024;

/** The installation's secret cannot be read; `message` says why and never holds it. */
export class SecretError extends OperatorError {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = "SecretError";
  }
}

/**
 * The installation's secret: from the environment, from `secret_file`, or from `secret.key` in the data folder.
 * `secret.key` is created at the first start with mode 0600, together with an empty data file if the store is embedded.
 * If several processes start at once, one creates it and all get the same. A named `secret_file` is never created. Nor
 * is a secret for a store that was sealed with one, or any secret unless `creates`: in these cases its absence is an
 * error. Throws `SecretError`.
 */
export async function installationSecret(
  config: SecretOptions & Pick<Config, "store">,
  { creates }: { readonly creates: boolean },
): Promise<string> {
  if (config.secret !== null) return config.secret;
  const file = secretFile(config);
  if (creates && config.secret_file === null)
    await (config.store === null ? createSecretAndData(file) : createSecretFile(file));
  return await readSecret(file);
}

/**
 * Throws `SecretError` if the data file is missing or empty while its companion still exists. The companion is
 * `secret.key`. A named secret may be older than the store, so then it is lmdb's lock file, which is created after the
 * data file. A new installation in its place would let nobody in, and hide the loss. NOT noticed: the loss of the whole
 * folder if the secret is a named one.
 */
export async function requireDataFile(config: SecretOptions & Pick<Config, "store">): Promise<void> {
  if (config.store !== null) return;
  const data = path.join(config.data, storeFileName);
  const [beside, what] = isNamedSecret(config)
    ? [`${data}-lock`, "its lock file"]
    : [secretFile(config), "the secret of that store"];
  // In this order: another process may be at its first start, which creates the data file before its companion.
  if ((await stat(beside).catch(undefinedIfAbsent)) === undefined) return;
  const size = (await stat(data).catch(undefinedIfAbsent))?.size;
  if ((size ?? 0) > 0) return;
  throw new SecretError(
    `data file ${data} is ${size === undefined ? "missing" : "empty"}, beside ${what}: ` +
      `restore a backup of it; for a new installation without the old users, remove ${beside}${size === undefined ? "" : " and the empty file"}`,
  );
}

/**
 * The secret came from the environment, or from a file that an operator made. So its existence does not show that there
 * is a store.
 */
export function isNamedSecret(config: Pick<Config, "secret" | "secret_file">): boolean {
  return config.secret !== null || config.secret_file !== null;
}

/** The secret's file and its mode if other users can read it; undefined if none can, or if there is no file. */
export async function exposedSecretFile(
  config: SecretOptions,
): Promise<{ readonly file: string; readonly mode: string } | undefined> {
  if (config.secret !== null || process.platform === "win32") return undefined;
  const file = secretFile(config);
  const mode = await stat(file).then((stats) => stats.mode & 0o777, undefinedIfAbsent);
  return mode === undefined || (mode & 0o044) === 0 ? undefined : { file, mode: mode.toString(8) };
}

/** Maps "not found" to undefined. */
function undefinedIfAbsent(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT")
    throw new SecretError(`the data folder cannot be read (${codeOf(error)})`, error);
  return undefined;
}

/** The stored data cannot be decrypted with the secret in use. */
export function wrongSecretError(config: SecretOptions, cause: unknown): SecretError {
  const file = secretFile(config);
  const source = config.secret === null ? `secret file ${file}` : "secret";
  const half = existsSync(rotationDraftOf(file))
    ? `; \`gatehouse secret rotate\` was interrupted: run it again`
    : "";
  return new SecretError(
    `the store is sealed with another secret than that of ${source}: name the right one with secret_file (GATEHOUSE_SECRET_FILE)${half}`,
    cause,
  );
}

/** The next secret, until the store is sealed with it. It lies beside the target of a symbolic link. */
function rotationDraftOf(file: string): string {
  return `${targetOf(file)}.next`;
}

function targetOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}

/** A new secret, written to disk before anything is sealed with it. */
export interface NextSecret {
  readonly secret: string;
  /** Where it is after `adopt`. */
  readonly file: string;
  /** Call after the store was sealed with it. */
  adopt(): Promise<void>;
}

/**
 * The secret that replaces `present`: the content of `newFile`, or a new one for the file in use (or for the target of
 * its symbolic link). If an interrupted call left a draft beside that file, the draft is used. Throws `SecretError`,
 * also if the next secret equals the present one.
 */
export async function nextSecret(
  config: SecretOptions,
  present: string,
  newFile: string | undefined,
): Promise<NextSecret> {
  if (newFile !== undefined) {
    const secret = await readOther(newFile, present);
    return { secret, file: path.resolve(newFile), adopt: async () => {} };
  }
  if (config.secret !== null)
    throw new SecretError(
      "the secret comes from the environment: give the next one in a file (--new-secret-file)",
    );
  const file = path.resolve(secretFile(config));
  const [target, draft] = [targetOf(file), rotationDraftOf(file)];
  if (!existsSync(draft)) await writeNewSecret(draft);
  return { secret: await readOther(draft, present), file, adopt: () => replaceByDraft(draft, target) };
}

async function readOther(file: string, present: string): Promise<string> {
  const secret = await readSecret(file);
  const [bytes, presentBytes] = [Buffer.from(secret), Buffer.from(present)];
  if (bytes.length === presentBytes.length && timingSafeEqual(bytes, presentBytes))
    throw new SecretError(
      `secret file ${file} holds the secret that is in use: nothing was changed; give another one`,
    );
  return secret;
}

async function replaceByDraft(draft: string, target: string): Promise<void> {
  try {
    await rename(draft, target);
    syncFile(path.dirname(target));
  } catch (error) {
    throw new SecretError(
      `the store is sealed with the secret of ${draft}, which cannot replace ${target} (${codeOf(error)}): move it there, or configure it with secret_file`,
      error,
    );
  }
}

type SecretOptions = Pick<Config, "secret" | "secret_file" | "data">;

function secretFile({ secret_file, data }: SecretOptions): string {
  return secret_file ?? path.join(data, "secret.key");
}

async function readSecret(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new SecretError(`secret file ${file} cannot be read (${codeOf(error)})`, error);
  });
  const secret = text.trim();
  if (secret.length < minCharacters || secret.length > maxCharacters)
    throw new SecretError(`secret file ${file} must hold ${minCharacters} to ${maxCharacters} characters`);
  return secret;
}

/** The draft of a secret while an installation's first start is in progress, or after it was interrupted. */
function firstStartDraftOf(file: string): string {
  return `${file}.first`;
}

/**
 * A first start: write the secret under a draft name, create the data file, then give the secret its final name. So a
 * secret without its data file always means a loss, and a data file without its secret means one unless the draft
 * exists. The next call continues wherever this was interrupted, also if several processes run it at once.
 */
async function createSecretAndData(file: string): Promise<void> {
  const [first, folder] = [firstStartDraftOf(file), path.dirname(file)];
  if (!(await exists(file))) {
    if (!(await exists(first))) await createSecretFile(first, file);
    const data = path.join(path.resolve(folder), storeFileName);
    if (!existsSync(data)) {
      // Load lmdb only if it is needed.
      const { createStoreFile } = await import("../store/embedded/create-store-file.ts");
      await createStoreFile(data);
    }
    await publishSecret(first, file);
  }
  // A leftover draft is ignored once the secret exists. A fault of the folder is reported when the secret is read.
  await rm(first, { force: true }).catch(() => undefined);
}

/** If another process removed `first` meanwhile, it has set the name before. */
async function publishSecret(first: string, file: string): Promise<void> {
  try {
    await link(first, file);
    syncFile(path.dirname(file));
  } catch (error) {
    if (codeOf(error) !== "EEXIST" && codeOf(error) !== "ENOENT")
      throw new SecretError(`secret file ${file} cannot be created (${codeOf(error)})`, error);
  }
}

/**
 * The file appears complete or not at all: it is written beside its place and hard-linked into it. The link fails if
 * another process was first. `named` is the final name of the secret.
 */
async function createSecretFile(file: string, named = file): Promise<void> {
  const folder = path.dirname(file);
  const hasData = await exists(path.join(folder, storeFileName));
  // In this order: another process may finish its first start at this moment.
  if ((await exists(file)) || (await exists(named))) return;
  if (hasData)
    throw new SecretError(
      `secret file ${named} is missing: put back the one that the store beside it was sealed with`,
    );
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new SecretError(`data folder ${folder} cannot be created (${codeOf(error)})`, error);
  });
  try {
    await writeNewSecret(file);
  } catch (error) {
    if (!(error instanceof SecretError) || codeOf(error.cause) !== "EEXIST") throw error;
  }
}

/** Writes a new secret to `file`, which must not exist. Throws `SecretError`. */
async function writeNewSecret(file: string): Promise<void> {
  const draft = `${file}.${randomBytes(8).toString("hex")}`;
  try {
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(`${randomBytes(32).toString("base64url")}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(draft, file);
  } catch (error) {
    throw new SecretError(`secret file ${file} cannot be created (${codeOf(error)})`, error);
  } finally {
    await rm(draft, { force: true });
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await (await open(file, "r")).close();
    return true;
  } catch (error) {
    return codeOf(error) !== "ENOENT";
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
