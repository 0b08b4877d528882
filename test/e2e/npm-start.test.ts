import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { type TemporaryFolder, temporaryFolder } from "../support/temporary-folder.ts";
import { within } from "../support/within.ts";

const root = path.resolve(import.meta.dirname, "../..");

describe("npm start", () => {
  let folder: TemporaryFolder;
  let npm: ChildProcess;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => {
    // The whole group, in case the gateway was left behind.
    if (npm.pid !== undefined && isAlive(-npm.pid)) process.kill(-npm.pid, "SIGKILL");
    folder.remove();
  });

  it.each([
    ["SIGTERM to npm", "SIGTERM", 1],
    ["Ctrl-C at its terminal", "SIGINT", -1],
  ] as const)("ends the gateway as well, in order: %s", async (_, signal, sign) => {
    const { PATH = "", HOME = "" } = process.env;
    const env = { PATH, HOME, GATEHOUSE_DATA: folder.path, GATEHOUSE_PORT: "0" };
    npm = spawn("npm", ["start"], { cwd: root, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const pid = npm.pid ?? 0;
    let printed = "";
    const serving = new Promise<void>((resolve) => {
      const hear = (chunk: Buffer) => {
        printed += chunk.toString();
        if (printed.includes("gatehouse serves")) resolve();
      };
      npm.stdout?.on("data", hear);
      npm.stderr?.on("data", hear);
    });
    const ended = new Promise<number | null>((resolve) => npm.once("close", resolve));
    await within(serving, "the gateway to serve");
    process.kill(sign * pid, signal);
    // The gateway holds npm's output open: it is gone when that is closed.
    await within(ended, "the end of npm and the gateway");
    expect(printed).toContain('"msg":"stopping"');
    expect(printed).toContain('"msg":"stopped"');
    expect(isAlive(-pid)).toBe(false);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
