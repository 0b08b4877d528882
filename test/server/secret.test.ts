import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

import { installationSecret, SecretError } from "../../src/server/secret.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const fromFolder = (data: string) =>
  installationSecret({ secret: null, secret_file: null, data }, { creates: true });
const fromFile = (name: string) =>
  installationSecret({ secret: null, secret_file: name, data: folder.path }, { creates: true });

it("makes the secret at the first start, readable by its owner only, and keeps it", async () => {
  const data = path.join(folder.path, "new/data");
  const secret = await fromFolder(data);
  expect(secret).toMatch(/^[\w-]{43}$/);
  expect(statSync(path.join(data, "secret.key")).mode & 0o777).toBe(0o600);
  expect(statSync(data).mode & 0o777).toBe(0o700);
  expect(await fromFolder(data)).toBe(secret);
});

it("of several first starts at once all get the same", async () => {
  const secrets = await Promise.all(Array.from({ length: 20 }, () => fromFolder(folder.path)));
  expect(new Set(secrets).size).toBe(1);
  expect(readdirSync(folder.path)).toEqual(["secret.key"]);
});

it("the environment's secret wins and writes nothing", async () => {
  const secret = "x".repeat(32);
  expect(await installationSecret({ secret, secret_file: null, data: folder.path }, { creates: true })).toBe(
    secret,
  );
  expect(readdirSync(folder.path)).toEqual([]);
});

it("reads a named file without the line break at its end", async () => {
  const file = path.join(folder.path, "k");
  writeFileSync(file, `${"y".repeat(40)}\n`);
  expect(await fromFile(file)).toBe("y".repeat(40));
});

it("never makes a named file", async () => {
  const file = path.join(folder.path, "missing.key");
  await expect(fromFile(file)).rejects.toThrow(
    new SecretError(`secret file ${file} cannot be read (ENOENT)`),
  );
  expect(readdirSync(folder.path)).toEqual([]);
});

it("makes no new secret for a store that lost its own", async () => {
  writeFileSync(path.join(folder.path, "gatehouse.mdb"), "");
  await expect(fromFolder(folder.path)).rejects.toThrow(/secret\.key is missing: put back the one/);
  expect(readdirSync(folder.path)).toEqual(["gatehouse.mdb"]);
});

it.each(["", "short", "z".repeat(1025)])(
  "refuses a file that holds %j, without saying what",
  async (text) => {
    const file = path.join(folder.path, "secret.key");
    writeFileSync(file, text);
    await expect(fromFolder(folder.path)).rejects.toThrow("must hold 32 to 1024 characters");
    expect(readFileSync(file, "utf8")).toBe(text);
  },
);

it("says why when the folder cannot be made", async () => {
  const file = path.join(folder.path, "file");
  writeFileSync(file, "");
  await expect(fromFolder(path.join(file, "data"))).rejects.toThrow(/cannot be (made|read) \(ENOTDIR\)/);
  chmodSync(file, 0o600);
});
