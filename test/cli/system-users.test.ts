import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";

import { writeTokenFile } from "../../src/cli/token-file.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { command } from "./command-in-process.ts";

let folder: TemporaryFolder;
const env: Record<string, string> = { GATEHOUSE_PUBLIC_URL: "https://gate.example.org" };
beforeAll(async () => {
  folder = temporaryFolder();
  env.GATEHOUSE_DATA = path.join(folder.path, "data");
  await run("users", "add", "Olivia", "--username", "olivia", "--owner", "--password-stdin");
});
afterAll(() => folder.remove());

const run = (...args: readonly string[]) => command(args, env);
const fileOf = (name: string) => path.join(folder.path, name);
async function done<T>(...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await run(...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as T;
}
const refused = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await run(...args, "--json");
  expect(stdout).toBe("");
  return { code, error: (JSON.parse(stderr) as { error: { code: string } }).error.code };
};
const names = async () =>
  (await done<{ name: string }[]>("system-users", "list")).map(({ name }) => name).toSorted();

interface Made {
  readonly id: string;
  readonly session_id: string;
}
interface Listed {
  readonly tokens: readonly { readonly session_id: string }[];
}

it("adds nobody if it cannot make a token, because no gateway has said under which name", async () => {
  const elsewhere = { GATEHOUSE_DATA: path.join(folder.path, "never-served") };
  const on = (...args: readonly string[]) => command(args, elsewhere);
  await on("users", "add", "Olivia", "--username", "olivia", "--owner", "--password-stdin");
  const file = fileOf("never.token");
  const answer = await on("system-users", "add", "backup", "--token-file", file);
  expect([answer.code, existsSync(file)]).toEqual([2, false]);
  expect((await on("system-users", "list", "--json")).stdout.trim()).toBe("[]");
});

it("writes the token into a new file that only its owner can read, and prints it nowhere", async () => {
  const file = fileOf("backup.token");
  const before = process.umask(0);
  const { code, stdout, stderr } = await run("system-users", "add", "backup", "--token-file", file);
  process.umask(before);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const token = readFileSync(file, "utf8");
  expect(token).toMatch(/^ghr_[\w-]{50}$/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const shown = [stdout];
  for (const args of [
    ["system-users", "list"],
    ["users", "list"],
    ["sessions", "list"],
  ])
    for (const form of [[], ["--json"]]) shown.push((await run(...args, ...form)).stdout);
  expect(shown.join()).not.toContain(token);
  expect(shown.join()).toContain("backup");
});

it("never writes over a file, and makes nobody if the file cannot be written", async () => {
  const file = fileOf("precious");
  writeFileSync(file, "keep me");
  expect(await refused("system-users", "add", "one", "--token-file", file)).toEqual({
    code: 2,
    error: "usage",
  });
  expect(await refused("system-users", "add", "one", "--token-file", fileOf("no/such/folder"))).toEqual({
    code: 2,
    error: "usage",
  });
  expect(readFileSync(file, "utf8")).toBe("keep me");
  expect(await names()).toEqual(["backup"]);
});

it("leaves no file if nobody was made", async () => {
  const file = fileOf("unused.token");
  expect(await refused("system-users", "token", "nobody", "--token-file", file)).toEqual({
    code: 1,
    error: "user_not_found",
  });
  expect(await refused("system-users", "add", "backup", "--token-file", file)).toEqual({
    code: 2,
    error: "usage",
  });
  expect(await refused("system-users", "add", "x", "--token-file", file, "--group", "gods")).toEqual({
    code: 1,
    error: "not_found",
  });
  expect(existsSync(file)).toBe(false);
});

it("issues further tokens, ends the old ones if asked, and removes the user", async () => {
  const made = await done<Made>(
    "system-users",
    "add",
    "sync",
    "--token-file",
    fileOf("1"),
    "--group",
    "read-only",
  );
  expect(made).toMatchObject({ name: "sync", group_ids: ["system-read-only"] });
  await done("system-users", "token", "sync", "--token-file", fileOf("2"));
  const tokens = async () =>
    (await done<(Listed & { name: string })[]>("system-users", "list")).find(({ name }) => name === "sync")
      ?.tokens;
  expect(await tokens()).toHaveLength(2);
  const last = await done<Made>(
    "system-users",
    "token",
    made.id,
    "--token-file",
    fileOf("3"),
    "--revoke-old",
  );
  expect(await tokens()).toMatchObject([{ session_id: last.session_id }]);
  expect(await done<object>("revoke", "--session", last.session_id)).toMatchObject({ sessions: 1 });
  expect(await tokens()).toEqual([]);
  expect(await done("system-users", "remove", "sync")).toEqual({ id: made.id, removed: true });
  expect(await names()).toEqual(["backup"]);
});

it("is no person: no login, no long-lived token, no ownership", async () => {
  const [{ id } = { id: "" }] = await done<Made[]>("system-users", "list");
  const login = ["users", "add-login", id, "--username", "backup", "--password-stdin"];
  expect(await refused(...login)).toEqual({ code: 1, error: "system_generated" });
  expect(await refused("tokens", "issue", "--user", id, "--name", "t")).toEqual({
    code: 1,
    error: "not_system_user",
  });
  expect(await refused("users", "make-owner", id)).toEqual({ code: 1, error: "not_allowed" });
  expect(await refused("users", "promote", id)).toEqual({ code: 1, error: "cannot_modify_system_generated" });
  expect(await refused("system-users", "remove", "olivia")).toEqual({ code: 1, error: "user_not_found" });
});

it("ends a token that could not be written", async () => {
  const file = fileOf("full.token");
  const ended: string[] = [];
  const textOf = () => {
    throw new Error("the disk is full");
  };
  const writing = writeTokenFile(file, async () => "a token", {
    textOf,
    undo: async (token) => void ended.push(token),
  });
  await expect(writing).rejects.toThrow("the disk is full");
  expect([ended, existsSync(file)]).toEqual([["a token"], false]);
});
