import { readFileSync } from "node:fs";
import { afterEach, expect, it } from "vitest";

import { isAlive } from "../../src/store/embedded/gateway-lock.ts";
import { eventually } from "../support/eventually.ts";
import { spawnChild } from "../support/spawn-child.ts";
import { within } from "../support/within.ts";

const undo: (() => void)[] = [];
afterEach(() => {
  for (const each of undo.splice(0).reverse()) each();
});

/**
 * The first `sleep` is a child of the second, which never asks for its exit code. The shell does ask, until the second
 * `sleep` has replaced it.
 */
async function childOfCareless(): Promise<number> {
  const parent = spawnChild("sh", ["-c", "sleep 600 & echo $!; exec sleep 600"]);
  undo.push(() => parent.kill("SIGKILL"));
  const said = new Promise<string>((resolve) =>
    parent.stdout?.once("data", (chunk) => resolve(String(chunk))),
  );
  const pid = Number(await within(said, "the child's id"));
  const nameOfParent = () => readFileSync(`/proc/${parent.pid}/comm`, "latin1").trim();
  await eventually("the shell replaced", () => nameOfParent() === "sleep");
  return pid;
}

it("is not held by a process that was killed and that nobody has waited for", async () => {
  const pid = await childOfCareless();
  undo.push(() => process.kill(pid, "SIGKILL"));
  const holder = { pid, startedAt: null, token: "t" };
  expect(isAlive(holder)).toBe(true);
  process.kill(pid, "SIGKILL");
  await eventually("the zombie", () => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1")));
  process.kill(pid, 0);
  expect(isAlive(holder)).toBe(false);
});
