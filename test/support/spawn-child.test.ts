import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";

import { startProcess } from "./child-process.ts";
import { eventually } from "./eventually.ts";

const hasSetpriv = spawnSync("setpriv", ["--version"], { stdio: "ignore" }).status === 0;

it.runIf(hasSetpriv)("a child ends with its parent, also if the parent is killed", async () => {
  const parent = startProcess({ script: new URL("./parent-process.ts", import.meta.url) });
  const pid = Number((await parent.line(/^\d+$/)).trim());
  expect(isAlive(pid)).toBe(true);
  parent.kill("SIGKILL");
  await parent.exited;
  await eventually("the end of the child", () => !isAlive(pid));
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
