import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

import { startRedis } from "../support/redis-server.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { command } from "./command-in-process.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const add = ["users", "add", "Paula", "--username", "paula", "--password-stdin"];
const commands: readonly (readonly string[])[] = [
  add,
  ["users", "list"],
  ["users", "passwd", "paula", "--password-stdin"],
  ["users", "add-login", "paula", "--username", "paula", "--password-stdin"],
  ["users", "remove-login", "paula"],
  ["users", "activate", "paula"],
  ["users", "deactivate", "paula"],
  ["users", "promote", "paula"],
  ["users", "demote", "paula"],
  ["users", "local-only", "paula", "on"],
  ["users", "rename", "paula", "--name", "Paul"],
  ["users", "remove", "paula"],
  ["tokens", "issue", "--user", "paula", "--name", "t"],
  ["sessions", "list"],
  ["revoke", "--all"],
  ["revoke", "--all", "--wait"],
  ["keys", "list"],
  ["keys", "rotate"],
];

it.each(commands)("%s %s reports that there is no store, and creates none", async (...args) => {
  const data = path.join(folder.path, "typed-wrong");
  const refused = await command([...args, "--data", data], {});
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toContain(`there is no store in ${data}`);
  expect(existsSync(data)).toBe(false);
});

it("creates nothing in a folder that exists but holds no store, or an empty file", async () => {
  const data = path.join(folder.path, "other");
  mkdirSync(data);
  expect(await command(["users", "list", "--data", data], {})).toMatchObject({ code: 2 });
  expect(readdirSync(data)).toEqual([]);
  writeFileSync(path.join(data, "gatehouse.mdb"), "");
  expect(await command(["users", "list", "--data", data], {})).toMatchObject({ code: 2 });
  expect(readdirSync(data)).toEqual(["gatehouse.mdb"]);
});

it("creates an installation for the owner, and then uses it", async () => {
  const data = ["--data", path.join(folder.path, "new")];
  expect(await command([...add, "--owner", ...data], {})).toMatchObject({ code: 0, stderr: "" });
  expect((await command(["users", "list", ...data], {})).stdout).toMatch(/paula +Paula +owner/);
});

it("applies to Redis too", async () => {
  const redis = await startRedis();
  try {
    const env = { GATEHOUSE_SECRET: "an installation's secret, 32 characters" };
    const where = ["--store", redis.url];
    const empty = await command(["users", "list", ...where], env);
    expect(empty).toMatchObject({ code: 2, stdout: "" });
    expect(empty.stderr).toContain("holds no installation");
    expect(await redis.command("DBSIZE")).toBe("0");
    const data = path.join(folder.path, "none");
    const noSecret = await command(["users", "list", ...where, "--data", data], {});
    expect(noSecret).toMatchObject({ code: 2, stderr: expect.stringContaining("secret.key cannot be read") });
    expect(existsSync(data)).toBe(false);
    expect(await command([...add, "--owner", ...where], env)).toMatchObject({ code: 0 });
    expect((await command(["users", "list", ...where], env)).stdout).toContain("paula");
  } finally {
    await redis.dispose();
  }
});
