import { existsSync } from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { runCommand } from "../../src/cli/program.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const env = { GATEHOUSE_PASSWORD_SCRYPT_N: "1024", GATEHOUSE_PASSWORD_WORKERS: "1" };

/** One command in this process, on a store in the test's folder. */
async function gatehouse(args: readonly string[], input: string | Uint8Array = "") {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.end(input);
  const environment = { env: { ...env, GATEHOUSE_DATA: path.join(folder.path, "data") }, stdout, stderr };
  const code = await runCommand(args, {
    ...environment,
    stdin: stdin as unknown as NodeJS.ReadStream,
  });
  return { code, stdout: String(stdout.read() ?? ""), stderr: String(stderr.read() ?? "") };
}

const errorOf = ({ stderr }: { stderr: string }) =>
  (JSON.parse(stderr) as { error: { code: string; message: string } }).error;
const add = ["users", "add", "Paula", "--username", "paula", "--password-stdin"];
const addOwner = [...add, "--owner"];

describe("invalid arguments", () => {
  const calls: readonly (readonly [string[], RegExp])[] = [
    [["frobnicate"], /unknown command 'frobnicate'/],
    [["users", "add"], /'--username <login>' not specified/],
    [["users", "list", "--frobnicate"], /unknown option '--frobnicate'/],
    [["users", "list", "more"], /too many arguments/],
    [["users", "deactivate"], /missing required argument 'user'/],
    [["serve", "--port", "abc"], /'--port <number>'.*not a whole number/],
    [["serve", "--port", "70000"], /from 0 to 65535/],
    [["tokens", "issue", "--user", "a", "--name", "b", "--days", "0"], /not from 1 to 3650/],
    [["tokens", "issue", "--user", "a", "--name", "b", "--days", "3651"], /not from 1 to 3650/],
    [["revoke"], /one of --user, --session, --client and --all/],
    [["revoke", "--user", "a", "--session", "b"], /one of --user, --session, --client and --all/],
    [[...add, "--owner", "--admin"], /exclude each other/],
    [add.slice(0, -1), /--password-stdin/],
    [["users", "local-only", "paula", "perhaps"], /must be on or off/],
    [["users", "list", "--store", "redis+sentinel://127.0.0.1:1"], /names the primary/],
    [["users", "list", "--store", "redis://127.0.0.1/x"], /not a number/],
  ];
  it.each(calls)("%j is a usage error, in both formats, and creates no store", async (args, message) => {
    const inWords = await gatehouse(args, "correct horse battery\n");
    expect(inWords).toMatchObject({ code: 2, stdout: "" });
    expect(inWords.stderr).toMatch(/^gatehouse: .*\(usage\)\n$/);
    expect(inWords.stderr).toMatch(message);
    const inJson = await gatehouse([...args, "--json"], "correct horse battery\n");
    expect(inJson).toMatchObject({ code: 2, stdout: "" });
    expect(errorOf(inJson)).toMatchObject({ code: "usage", message: expect.stringMatching(message) });
    expect(existsSync(path.join(folder.path, "data"))).toBe(false);
  });

  it("shows the help if there is no command at all", async () => {
    for (const args of [[], ["users"]]) {
      const { code, stdout, stderr } = await gatehouse(args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain("Usage: gatehouse");
    }
  });
});

it("prints its version and its help to standard output", async () => {
  expect(await gatehouse(["--version"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+/),
  });
  expect(await gatehouse(["users", "add", "--help"])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("--password-stdin"),
  });
});

describe("a password on standard input", () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    ["nothing", "", /holds no password/],
    ["an empty first line", "\nsecond line\n", /holds no password/],
    ["a file piped in by mistake", "x".repeat(1_000_000), /too long/],
    ["bytes that are no UTF-8", Buffer.from("correct \xff\xfe horse\n", "latin1"), /not UTF-8/],
  ])("is refused if it is %s", async (_, input, message) => {
    const refused = await gatehouse([...addOwner, "--json"], input);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(errorOf(refused)).toMatchObject({ code: "usage", message: expect.stringMatching(message) });
  });

  it.each([
    ["without a line break", "correct horse battery"],
    ["with a line break of Windows", "correct horse battery\r\nmore\n"],
    ["with a byte order mark", "\ufeffcorrect horse battery\n"],
  ])("is accepted %s", async (_, input) => {
    expect(await gatehouse(addOwner, input)).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("untrusted names", () => {
  beforeEach(() => gatehouse(addOwner, "correct horse battery\n"));
  const evil = "a\u001b]0;x\u0007\nb\u009b31m\u202ec";
  const addNamed = (name: string, username: string) =>
    gatehouse(["users", "add", name, "--username", username, "--password-stdin"], "correct horse battery\n");

  it("cannot control a terminal, nor break a table or a line of JSON", async () => {
    await addNamed(evil, "evil");
    await addNamed("日本語 👩‍👩‍👧 e\u0301", "wide");
    const { stdout } = await gatehouse(["users", "list"]);
    expect(stdout).not.toMatch(/[^\n\P{Cc}]|\u202e/u);
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[2]).toContain(String.raw`a\u001b]0;x\u0007\u000ab\u009b31m\u202ec`);
    const json = await gatehouse(["users", "list", "--json"]);
    expect(json.stdout).not.toMatch(/[^\n\P{Cc}]|\u202e/u);
    expect((JSON.parse(json.stdout) as { name: string }[]).map(({ name }) => name)).toContain(evil);
    const nobody = await gatehouse(["users", "deactivate", "\u001b[31mx"]);
    expect(nobody.stderr).not.toContain("\u001b");
  });

  it("are bounded", async () => {
    for (const name of ["", " ", "x".repeat(129)])
      expect(await addNamed(name, "rosa")).toMatchObject({ code: 2, stdout: "" });
  });

  it("are found in any spelling", async () => {
    await addNamed("Jürgen", "jürgen");
    expect(await gatehouse(["users", "deactivate", " J\u0055\u0308RGEN"])).toMatchObject({ code: 0 });
  });
});
