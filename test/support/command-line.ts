import path from "node:path";
import { spawnChild } from "./spawn-child.ts";

import { within } from "./within.ts";

/** The built program, as `gatehouse` runs it. `npm test` builds it first. */
const main = path.resolve(import.meta.dirname, "../../dist/src/cli/main.js");

export interface CommandResult {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

function start(args: readonly string[], options: CommandOptions) {
  const { PATH = "" } = process.env;
  const child = spawnChild(process.execPath, [main, ...args], {
    // The suite shares two cores. Other tests cover how soon a lost store is noticed.
    env: { PATH, GATEHOUSE_STORE_TIMEOUT_MS: "5000", ...options.env },
    cwd: options.cwd,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const seen = { stdout: "", stderr: "" };
  child.stdout?.on("data", (chunk: Buffer) => {
    seen.stdout += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    seen.stderr += chunk.toString();
  });
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.stdin ?? "");
  const exited = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(signal ?? code ?? -1));
  });
  return { child, seen, exited };
}

/** Runs one command to its end. */
export async function gatehouse(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { seen, exited, child } = start(args, options);
  try {
    return { code: await within(exited, `gatehouse ${args.join(" ")}`, 120_000), ...seen };
  } finally {
    child.kill("SIGKILL");
  }
}

/** Runs one command with `--json`, which must succeed, and parses its output. */
export async function gatehouseJson<T>(args: readonly string[], options: CommandOptions = {}): Promise<T> {
  const { code, stdout, stderr } = await gatehouse([...args, "--json"], options);
  if (code !== 0) throw new Error(`gatehouse ${args.join(" ")} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

export interface ServeProcess {
  readonly pid: number;
  readonly url: string;
  readonly port: number;
  readonly setupLink: string | null;
  readonly output: { readonly stdout: string; readonly stderr: string };
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Sends the signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/** Starts `gatehouse serve` on a free port; resolves once it serves. */
export async function serve(args: readonly string[], options: CommandOptions = {}): Promise<ServeProcess> {
  const { child, seen, exited } = start(["serve", "--port", "0", "--json", ...args], options);
  const announced = new Promise<{ url: string; setup_link: string | null }>((resolve, reject) => {
    const look = () => {
      const line = seen.stdout.split("\n").find((text) => text.includes('"setup_link"'));
      if (line !== undefined) resolve(JSON.parse(line));
    };
    child.stdout?.on("data", look);
    exited.then((code) => reject(new Error(`serve ended with ${code}: ${seen.stderr}`)), reject);
  });
  const { url, setup_link } = await within(announced, "the gateway to serve", 120_000).catch(
    (error: unknown) => {
      child.kill("SIGKILL");
      throw error;
    },
  );
  return {
    pid: child.pid ?? -1,
    url,
    port: Number(new URL(url).port),
    setupLink: setup_link,
    output: seen,
    exited,
    async kill(signal) {
      child.kill(signal);
      return await within(exited, `the end after ${signal}`, 120_000);
    },
  };
}
