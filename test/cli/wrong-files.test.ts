import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { command } from "./command-in-process.ts";

let folder: TemporaryFolder;
let data: string;
beforeEach(async () => {
  folder = temporaryFolder();
  data = path.join(folder.path, "data");
  const add = ["users", "add", "Paula", "--owner", "--username", "paula", "--password-stdin", "--data", data];
  expect(await command(add, {})).toMatchObject({ code: 0 });
});
afterEach(() => folder.remove());

async function expectUsage(
  args: readonly string[],
  text: string,
  env: Readonly<Record<string, string>> = {},
) {
  const { code, stdout, stderr } = await command(args, env);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(text);
  expect(stderr.trimEnd()).toMatch(/\(usage\)$/);
}

describe("a wrong entry of clients", () => {
  const app = { client_id: "app", redirect_uris: ["https://a.test/"] };
  const twice = JSON.stringify([app, app]);
  const script = JSON.stringify([{ client_id: "app", redirect_uris: ["javascript:alert(1)"] }]);
  const noFile = JSON.stringify([
    { client_id: "app", redirect_uris: ["https://a.test/"], secret_file: "/nowhere/secret" },
  ]);

  it.each([
    ["check", twice, "entry 2 has the client id of another entry"],
    ["check", script, "entry 1 is wrong: A redirect URI"],
    ["check", noFile, "entry 1 has a secret_file that cannot be read: ENOENT"],
    ["serve --port 0", twice, "entry 2 has the client id of another entry"],
    ["serve --port 0", script, "entry 1 is wrong: A redirect URI"],
    ["serve --port 0", noFile, "entry 1 has a secret_file that cannot be read: ENOENT"],
    ["users list", twice, "entry 2 has the client id of another entry"],
    ["clients list", twice, "entry 2 has the client id of another entry"],
    ["keys rotate", twice, "entry 2 has the client id of another entry"],
  ])("%s refuses it as a mistake in the configuration: %s", async (spelled, clients, text) => {
    await expectUsage([...spelled.split(" "), "--data", data], text, { GATEHOUSE_CLIENTS: clients });
  });
});

describe("gatehouse backup", () => {
  it.each([
    ["into a folder that does not exist", "nowhere/copy.mdb", "does not exist"],
    ["into a file", "plain/copy.mdb", "is no folder"],
    ["onto a file that exists", "plain", "exists: give another file"],
    ["onto a folder", ".", "exists: give another file"],
    ["under a name that is too long", "x".repeat(300), "ENAMETOOLONG"],
  ])("refuses to copy %s, and leaves nothing behind", async (_, name, text) => {
    writeFileSync(path.join(folder.path, "plain"), "");
    const before = readdirSync(folder.path);
    await expectUsage(["backup", path.join(folder.path, name), "--data", data], text);
    expect(readdirSync(folder.path)).toEqual(before);
  });

  it("refuses an empty name", async () => {
    await expectUsage(["backup", "", "--data", data], "give the name of a new file");
  });

  it("copies to a new file", async () => {
    const copy = path.join(folder.path, "copy.mdb");
    expect(await command(["backup", copy, "--data", data], {})).toMatchObject({ code: 0 });
    expect(existsSync(copy)).toBe(true);
  });
});

it.each(["users list", "serve --port 0", "backup copy.mdb"])(
  "%s refuses a folder in the place of the store's file",
  async (spelled) => {
    const other = path.join(folder.path, "other");
    mkdirSync(path.join(other, "gatehouse.mdb"), { recursive: true });
    await expectUsage([...spelled.split(" "), "--data", other], "is no file, so it cannot be the store");
  },
);

it.each(["", "ftp://gate.test", "http://"])("%j is no address of a gateway", async (url) => {
  const env = { GATEHOUSE_ACCESS_TOKEN: "x" };
  await expectUsage(["call", url, "ping"], "not a gateway address", env);
  await expectUsage(["login", url, "--username", "paula", "--password-stdin"], "not a gateway address");
});
