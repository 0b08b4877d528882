import {
  chmodSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

import { defineConfig } from "../../src/server/config/load.ts";
import { openAuthority } from "../../src/server/open-authority.ts";
import { installationSecret, SecretError } from "../../src/server/secret.ts";
import { startRedis } from "../support/redis-server.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const fromFolder = (data: string) =>
  installationSecret({ secret: null, secret_file: null, store: null, data }, { creates: true });
const fromFile = (name: string) =>
  installationSecret({ secret: null, secret_file: name, store: null, data: folder.path }, { creates: true });

it("creates the secret at the first start, readable by its owner only, and keeps it", async () => {
  const data = path.join(folder.path, "new/data");
  const secret = await fromFolder(data);
  expect(secret).toMatch(/^[\w-]{43}$/);
  expect(statSync(path.join(data, "secret.key")).mode & 0o777).toBe(0o600);
  expect(statSync(data).mode & 0o777).toBe(0o700);
  expect(await fromFolder(data)).toBe(secret);
});

it("gives concurrent first starts the same secret", async () => {
  const secrets = await Promise.all(Array.from({ length: 20 }, () => fromFolder(folder.path)));
  expect(new Set(secrets).size).toBe(1);
  expect(readdirSync(folder.path)).toEqual(["gatehouse.mdb", "secret.key"]);
});

it("prefers the environment's secret and then writes nothing", async () => {
  const secret = "x".repeat(32);
  expect(
    await installationSecret(
      { secret, secret_file: null, store: null, data: folder.path },
      { creates: true },
    ),
  ).toBe(secret);
  expect(readdirSync(folder.path)).toEqual([]);
});

it("reads a named file without the line break at its end", async () => {
  const file = path.join(folder.path, "k");
  writeFileSync(file, `${"y".repeat(40)}\n`);
  expect(await fromFile(file)).toBe("y".repeat(40));
});

it("never creates a named file", async () => {
  const file = path.join(folder.path, "missing.key");
  await expect(fromFile(file)).rejects.toThrow(
    new SecretError(`secret file ${file} cannot be read (ENOENT)`),
  );
  expect(readdirSync(folder.path)).toEqual([]);
});

it("creates no new secret for a store that lost its own", async () => {
  writeFileSync(path.join(folder.path, "gatehouse.mdb"), "");
  await expect(fromFolder(folder.path)).rejects.toThrow(/secret\.key is missing: put back the one/);
  expect(readdirSync(folder.path)).toEqual(["gatehouse.mdb"]);
});

it.each(["", "short", "z".repeat(1025)])("refuses a file that holds %j, without quoting it", async (text) => {
  const file = path.join(folder.path, "secret.key");
  writeFileSync(file, text);
  await expect(fromFolder(folder.path)).rejects.toThrow("must hold 32 to 1024 characters");
  expect(readFileSync(file, "utf8")).toBe(text);
});

it("reports why the folder cannot be created", async () => {
  const file = path.join(folder.path, "file");
  writeFileSync(file, "");
  await expect(fromFolder(path.join(file, "data"))).rejects.toThrow(/cannot be (made|read) \(ENOTDIR\)/);
  chmodSync(file, 0o600);
});

/** Opens the installation in the folder as a gateway does, closes it, and returns the warnings. */
async function opened(
  config: { readonly secret_file?: string; readonly store?: string } = {},
): Promise<readonly unknown[]> {
  const warnings: unknown[] = [];
  const log = { warn: (about: unknown) => void warnings.push(about) };
  const authority = await openAuthority(defineConfig({ data: folder.path, ...config }), {
    role: "gateway",
    log,
  });
  await authority.close();
  return warnings;
}
const secretFile = () => path.join(folder.path, "secret.key");
const dataFile = () => path.join(folder.path, "gatehouse.mdb");

it.each([
  ["missing", () => rmSync(dataFile())],
  ["empty", () => writeFileSync(dataFile(), "")],
])(
  "starts no new installation beside a secret of any age whose data file is %s, and says how to",
  async (state, lose) => {
    await opened();
    const secret = readFileSync(secretFile(), "utf8");
    // As right after a rotation, or after a restore by a plain copy.
    utimesSync(secretFile(), new Date(), new Date());
    lose();
    const refusal = `data file ${dataFile()} is ${state}, beside the secret of that store: restore a backup`;
    await expect(opened()).rejects.toThrow(refusal);
    await expect(opened()).rejects.toThrow(`remove ${secretFile()}`);
    expect(readFileSync(secretFile(), "utf8")).toBe(secret);
    for (const file of [secretFile(), dataFile()]) rmSync(file, { force: true });
    await opened();
    expect(readFileSync(secretFile(), "utf8")).not.toBe(secret);
  },
);

/** A secret in a file of the operator, as containers get it. */
function namedSecret(): string {
  const file = path.join(folder.path, "named.key");
  writeFileSync(file, "n".repeat(40), { mode: 0o600 });
  return file;
}

it.each([
  ["missing", () => rmSync(dataFile())],
  ["empty", () => writeFileSync(dataFile(), "")],
])(
  "starts no new installation with a named secret where a data file was that is %s, and says how to",
  async (state, lose) => {
    const secret_file = namedSecret();
    await opened({ secret_file });
    lose();
    const lockFile = `${dataFile()}-lock`;
    const refusal = `data file ${dataFile()} is ${state}, beside its lock file: restore a backup`;
    await expect(opened({ secret_file })).rejects.toThrow(refusal);
    await expect(opened({ secret_file })).rejects.toThrow(`remove ${lockFile}`);
    for (const file of [lockFile, dataFile()]) rmSync(file, { force: true });
    await opened({ secret_file });
  },
);

it("warns of a new installation beside a named secret, at its first start only: its data may be lost", async () => {
  const secret_file = namedSecret();
  expect(await opened({ secret_file })).toEqual([{ data: folder.path }]);
  expect(await opened({ secret_file })).toEqual([]);
  const redis = await startRedis();
  try {
    expect(await opened({ secret_file, store: redis.url })).toEqual([{ store: "redis" }]);
    expect(await opened({ secret_file, store: redis.url })).toEqual([]);
  } finally {
    await redis.dispose();
  }
});

it.each([
  ["the data file", ["secret.key.first"]],
  ["the secret has its name", ["gatehouse.mdb", "secret.key.first"]],
  ["its first name is gone", ["gatehouse.mdb", "secret.key", "secret.key.first"]],
])("continues a first start that was interrupted before %s", async (_, left) => {
  const secret = await fromFolder(folder.path);
  copyFileSync(secretFile(), `${secretFile()}.first`);
  for (const name of readdirSync(folder.path)) if (!left.includes(name)) rmSync(path.join(folder.path, name));
  expect(readdirSync(folder.path)).toEqual(left);
  await opened();
  expect(await fromFolder(folder.path)).toBe(secret);
  expect(readdirSync(folder.path)).not.toContain("secret.key.first");
});

it("a store elsewhere gets no data file beside its secret", async () => {
  const config = { secret: null, secret_file: null, store: "redis://localhost", data: folder.path };
  await installationSecret(config, { creates: true });
  expect(readdirSync(folder.path)).toEqual(["secret.key"]);
});

it.each([0o640, 0o604, 0o644])("warns of a secret that other users can read (%o)", async (mode) => {
  expect(await opened()).toEqual([]);
  chmodSync(secretFile(), mode);
  expect(await opened()).toEqual([{ file: secretFile(), mode: mode.toString(8) }]);
  const named = path.join(folder.path, "named.key");
  writeFileSync(named, readFileSync(secretFile()), { mode });
  chmodSync(named, mode);
  expect(await opened({ secret_file: named })).toEqual([{ file: named, mode: mode.toString(8) }]);
});
