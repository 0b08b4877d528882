import { spawn } from "node:child_process";
import path from "node:path";

import { within } from "./within.ts";

const main = path.resolve(import.meta.dirname, "../../dist/src/cli/main.js");

/**
 * Runs the built program at a pseudo-terminal, which util-linux's `script` creates. Each of `answers` is typed once the
 * terminal shows its question. Returns the terminal's output and the exit code.
 */
export async function atTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  answers: readonly (readonly [question: string, typed: string])[],
): Promise<{ readonly shown: string; readonly code: number | null }> {
  const { PATH = "" } = process.env;
  const quoted = [process.execPath, main, ...args].map((part) => `'${part.replaceAll("'", `'\\''`)}'`);
  const child = spawn("script", ["-q", "-e", "-c", quoted.join(" "), "/dev/null"], {
    env: { PATH, TERM: "dumb", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  let from = 0;
  const waiting = [...answers];
  child.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString();
    const [next] = waiting;
    const at = next === undefined ? -1 : shown.indexOf(next[0], from);
    if (next === undefined || at < 0) return;
    from = at + next[0].length;
    waiting.shift();
    child.stdin.write(`${next[1]}\r`);
  });
  child.stdin.on("error", () => {});
  try {
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    const code = await within(ended, `the end of gatehouse ${args.join(" ")} at a terminal`);
    return { shown, code };
  } finally {
    child.kill("SIGKILL");
  }
}
