import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { gatehouse, gatehouseJson, type ServeProcess, serve } from "../support/command-line.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";

const root = path.resolve(import.meta.dirname, "../..");
const stdin = "correct horse battery\n";

/** What somebody types who follows the README, in the order of its sections. */
const sections = ["Groups and permissions", "Let a service in", "Messages by topic"];

describe("the README's commands for groups, services and topics", () => {
  let folder: TemporaryFolder;
  let gateway: ServeProcess;
  let where: string[];
  let typed: { readonly stdout: string; readonly stderr: string };

  beforeAll(async () => {
    folder = temporaryFolder();
    const data = path.join(folder.path, "data");
    where = ["--data", data];
    gateway = await serve(where);
    const owner = ["users", "add", "Paula", "--username", "paula", "--owner", "--password-stdin", ...where];
    expect(await gatehouse(owner, { stdin })).toMatchObject({ code: 0 });
    const script = path.join(folder.path, "typed.sh");
    writeFileSync(script, scriptOf(data));
    typed = await promisify(execFile)("bash", [script], { cwd: folder.path });
  });
  afterAll(async () => {
    await gateway?.kill("SIGKILL");
    folder?.remove();
  });

  function scriptOf(data: string): string {
    const lines = sections.flatMap(commandsIn).map((line) =>
      line
        .replaceAll("http://127.0.0.1:8123", gateway.url)
        // A terminal would ask for the password.
        .replace(/^(gatehouse users add .*)$/, `echo '${stdin.trim()}' | $1 --password-stdin`),
    );
    const cli = path.join(root, "dist/src/cli/main.js");
    return [
      "set -euo pipefail",
      `export GATEHOUSE_DATA='${data}'`,
      `gatehouse() { '${process.execPath}' '${cli}' "$@"; }`,
      'curl() { command curl --fail-with-body --silent --show-error "$@"; }',
      ...lines,
    ].join("\n");
  }

  it("all succeed, and say what they have done", () => {
    expect(typed.stderr).toBe("");
    expect(typed.stdout).toMatch(/added gus \([0-9a-f]{32}\), groups: Guests\n/);
    expect(typed.stdout).toContain("\nmay read home/kitchen/temperature\n");
    expect(typed.stdout).toMatch(/\{"positions":\["[^"]+"\]\}$/);
  });

  it("make a guest who is in the guests' group only", async () => {
    const users = await gatehouseJson<{ username: string | null; group_ids: string[] }[]>([
      "users",
      "list",
      ...where,
    ]);
    const [guests] = (
      await gatehouseJson<{ id: string; name: string }[]>(["groups", "list", ...where])
    ).filter(({ name }) => name === "Guests");
    expect(users.find(({ username }) => username === "gus")?.group_ids).toEqual([guests?.id]);
  });
});

/** Lines of indented blocks that a shell runs. Dialogues begin with C or S; the example is tested elsewhere. */
function commandsIn(section: string): readonly string[] {
  const [, after = ""] = readFileSync(path.join(root, "README.md"), "utf8").split(`\n## ${section}\n`);
  const [text = ""] = after.split("\n## ");
  const lines = text.split("\n").filter((line) => line.startsWith("    "));
  return lines.map((line) => line.slice(4)).filter((line) => !/^([CS] {2}|npm )/.test(line));
}
