import { randomBytes, timingSafeEqual } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";

import { storeFileName, syncFile } from "../store/embedded/files.ts";
import type { Config } from "./config/schema.ts";

const shortest = 32;
const longest = 1024;

/** The installation's secret cannot be had; `message` says why and never holds it. */
export class SecretError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = "SecretError";
  }
}

/**
 * The installation's secret: from the environment, from `secret_file`, or from `secret.key` in the data folder, which is
 * made at the first start, mode 0600, with an empty data file where the store is to be one. Of several processes that start
 * at once one makes it and all get the same. A named `secret_file` is never made, nor a new secret for a store that was
 * made with one, nor any unless `creates`: that it is missing is a mistake. Throws `SecretError`.
 */
export async function installationSecret(
  config: SecretOptions & Pick<Config, "store">,
  { creates }: { readonly creates: boolean },
): Promise<string> {
  if (config.secret !== null) return config.secret;
  const file = secretFile(config);
  if (creates && config.secret_file === null)
    await (config.store === null ? makeSecretAndData(file) : makeSecret(file));
  return await readSecret(file);
}

/**
 * Throws `SecretError` where the data file is gone or empty, and what was beside it is still there: `secret.key`, or, if
 * the secret is a named one, which may be older than the store, lmdb's lock file, which is made after the data file. A new
 * installation in its place would let nobody in, and hide the loss. NOT noticed: that the whole folder was lost, beside a
 * named secret.
 */
export async function requireDataOf(config: SecretOptions & Pick<Config, "store">): Promise<void> {
  if (config.store !== null) return;
  const data = path.join(config.data, storeFileName);
  const [beside, what] = isNamed(config)
    ? [`${data}-lock`, "its lock file"]
    : [secretFile(config), "the secret that it was made with"];
  // In this order: another process may be at its first start, which makes the data file before what is beside it.
  if ((await stat(beside).catch(absent)) === undefined) return;
  const size = (await stat(data).catch(absent))?.size;
  if ((size ?? 0) > 0) return;
  throw new SecretError(
    `data file ${data} is ${size === undefined ? "missing" : "empty"}, beside ${what}: ` +
      `restore a backup of it; for a new installation without the old users, remove ${beside}${size === undefined ? "" : " and the empty file"}`,
  );
}

/** It came from the environment, or from a file that somebody else made: it says nothing of whether there is a store. */
export function isNamed(config: Pick<Config, "secret" | "secret_file">): boolean {
  return config.secret !== null || config.secret_file !== null;
}

/** The secret's file and its mode where others than its owner can read it; undefined where none can, or there is no file. */
export async function openSecretFile(
  config: SecretOptions,
): Promise<{ readonly file: string; readonly mode: string } | undefined> {
  if (config.secret !== null || process.platform === "win32") return undefined;
  const file = secretFile(config);
  const mode = await stat(file).then((stats) => stats.mode & 0o777, absent);
  return mode === undefined || (mode & 0o044) === 0 ? undefined : { file, mode: mode.toString(8) };
}

/** For what is not there. */
function absent(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT")
    throw new SecretError(`the data folder cannot be read (${codeOf(error)})`, error);
  return undefined;
}

/** What is stored cannot be read with the secret in use. */
export function otherSecret(config: SecretOptions, cause: unknown): SecretError {
  const file = secretFile(config);
  const source = config.secret === null ? `secret file ${file}` : "secret";
  const half = existsSync(draftOf(file)) ? `; \`gatehouse secret rotate\` was cut short: run it again` : "";
  return new SecretError(
    `the store is sealed with another secret than that of ${source}: name the right one with secret_file (GATEHOUSE_SECRET_FILE)${half}`,
    cause,
  );
}

/** The next secret, until the store was sealed with it: beside the file that a link leads to. */
function draftOf(file: string): string {
  return `${targetOf(file)}.next`;
}

function targetOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}

/** A new secret that is on disk before anything is sealed with it. */
export interface NextSecret {
  readonly secret: string;
  /** Where it is from now on. */
  readonly file: string;
  /** After the store was sealed with it. */
  adopt(): Promise<void>;
}

/**
 * The secret that takes the place of `present`: that of `newFile`, or a new one for the file in use, or for the one that it
 * links to; one that an earlier call has left beside that file is taken again. Throws `SecretError`, also where the next
 * secret is the present one.
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
    throw new SecretError("the secret comes from the environment: give the next one in a file");
  const file = path.resolve(secretFile(config));
  const [target, draft] = [targetOf(file), draftOf(file)];
  if (!existsSync(draft)) await writeNew(draft);
  return { secret: await readOther(draft, present), file, adopt: () => takeOver(draft, target) };
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

async function takeOver(draft: string, target: string): Promise<void> {
  try {
    await rename(draft, target);
    syncFile(path.dirname(target));
  } catch (error) {
    throw new SecretError(
      `the store is sealed with the secret of ${draft}, which cannot take the place of ${target} (${codeOf(error)}): put it there, or name it with secret_file`,
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
  if (secret.length < shortest || secret.length > longest)
    throw new SecretError(`secret file ${file} must hold ${shortest} to ${longest} characters`);
  return secret;
}

/** The secret of an installation whose first start is under way, or was cut off. */
function firstOf(file: string): string {
  return `${file}.first`;
}

/**
 * A first start: the secret under another name, then the data file, then the secret's own name. Thus a secret without its
 * data file is always a loss, and a data file without its secret is one unless the other name is there. Wherever it is
 * cut off, and whoever else is at it, the next call goes on.
 */
async function makeSecretAndData(file: string): Promise<void> {
  const [first, folder] = [firstOf(file), path.dirname(file)];
  if (!(await exists(file))) {
    if (!(await exists(first))) await makeSecret(first, file);
    const data = path.join(path.resolve(folder), storeFileName);
    if (!existsSync(data)) {
      // lmdb is loaded only where it is used.
      const { createStoreFile } = await import("../store/embedded/create-store-file.ts");
      await createStoreFile(data);
    }
    await giveSecretName(first, file);
  }
  // One that stays is not read beside the secret; what is wrong with the folder is said when that is read.
  await rm(first, { force: true }).catch(() => undefined);
}

/** Whoever removed `first` meanwhile has given the name before. */
async function giveSecretName(first: string, file: string): Promise<void> {
  try {
    await link(first, file);
    syncFile(path.dirname(file));
  } catch (error) {
    if (codeOf(error) !== "EEXIST" && codeOf(error) !== "ENOENT")
      throw new SecretError(`secret file ${file} cannot be made (${codeOf(error)})`, error);
  }
}

/**
 * The file appears whole or not at all: it is written beside its place and linked into it, which fails when another
 * process was first. `named`: the name that the secret gets in the end.
 */
async function makeSecret(file: string, named = file): Promise<void> {
  const folder = path.dirname(file);
  const hasData = await exists(path.join(folder, storeFileName));
  // In this order: another process may finish its first start at this moment.
  if ((await exists(file)) || (await exists(named))) return;
  if (hasData)
    throw new SecretError(
      `secret file ${named} is missing: put back the one that the store beside it was made with`,
    );
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new SecretError(`data folder ${folder} cannot be made (${codeOf(error)})`, error);
  });
  try {
    await writeNew(file);
  } catch (error) {
    if (!(error instanceof SecretError) || codeOf(error.cause) !== "EEXIST") throw error;
  }
}

/** Writes a new secret to `file`, which must not be there yet. Throws `SecretError`. */
async function writeNew(file: string): Promise<void> {
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
    throw new SecretError(`secret file ${file} cannot be made (${codeOf(error)})`, error);
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
