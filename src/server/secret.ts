import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";

import { storeFileName, syncFile } from "../store/embedded/files.ts";
import type { Config } from "./config/schema.ts";

const shortest = 32;
const longest = 1024;
/** A first start makes the secret, then the data file, within this time, ms. */
const firstStartMs = 60_000;

/** The installation's secret cannot be had; `message` says why and never holds it. */
export class SecretError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = "SecretError";
  }
}

/**
 * The installation's secret: from the environment, from `secret_file`, or from `secret.key` in the data folder, which is
 * made at the first start, mode 0600. Of several processes that start at once one makes it and all get the same. A named
 * `secret_file` is never made, nor a new secret for a store that was made with one, nor any unless `creates`: that it is
 * missing is a mistake. Throws `SecretError`.
 */
export async function installationSecret(
  config: SecretOptions,
  { creates }: { readonly creates: boolean },
): Promise<string> {
  if (config.secret !== null) return config.secret;
  const file = secretFile(config);
  if (creates && config.secret_file === null) await makeSecret(file);
  return await readSecret(file);
}

/**
 * Throws `SecretError` where `secret.key` in the data folder is older than a first start takes, and the data file that was
 * made with it is gone or empty: a new installation in its place would let nobody in, and hide the loss.
 */
export async function requireDataOf(config: SecretOptions & Pick<Config, "store">): Promise<void> {
  if (config.secret !== null || config.secret_file !== null || config.store !== null) return;
  const [secret, data] = [secretFile(config), path.join(config.data, storeFileName)];
  const [madeAt, size] = await Promise.all([
    stat(secret).then(({ mtimeMs }) => mtimeMs, absent),
    stat(data).then((stats) => stats.size, absent),
  ]);
  if (madeAt === undefined || (size ?? 0) > 0) return;
  // Another process may be at its first start, or one was stopped in the middle of it.
  if (size === undefined && Date.now() - madeAt < firstStartMs) return;
  throw new SecretError(
    `data file ${data} is ${size === undefined ? "missing" : "empty"}, beside the secret that it was made with: ` +
      `restore a backup of it; for a new installation without the old users, remove ${secret}${size === undefined ? "" : " and the empty file"}`,
  );
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

/** The next secret, until the store was sealed with it. */
function draftOf(file: string): string {
  return `${file}.next`;
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
 * The secret that takes the place of the one in use: that of `newFile`, or a new one for the file in use; one that an earlier
 * call has left beside that file is taken again. Throws `SecretError`.
 */
export async function nextSecret(config: SecretOptions, newFile: string | undefined): Promise<NextSecret> {
  if (newFile !== undefined)
    return { secret: await readSecret(newFile), file: path.resolve(newFile), adopt: async () => {} };
  if (config.secret !== null)
    throw new SecretError("the secret comes from the environment: give the next one in a file");
  const file = path.resolve(secretFile(config));
  const draft = draftOf(file);
  if (!existsSync(draft)) await writeNew(draft);
  const adopt = async () => {
    await rename(draft, file);
    syncFile(path.dirname(file));
  };
  return { secret: await readSecret(draft), file, adopt };
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

/**
 * The file appears whole or not at all: it is written beside its place and linked into it, which fails when another
 * process was first.
 */
async function makeSecret(file: string): Promise<void> {
  if (await exists(file)) return;
  if (await exists(path.join(path.dirname(file), storeFileName)))
    throw new SecretError(
      `secret file ${file} is missing: put back the one that the store beside it was made with`,
    );
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new SecretError(`data folder ${path.dirname(file)} cannot be made (${codeOf(error)})`, error);
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
