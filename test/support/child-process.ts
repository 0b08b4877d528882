import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { spawnChild } from "./spawn-child.ts";
import { within } from "./within.ts";

const hooks = fileURLToPath(new URL("./typescript.mjs", import.meta.url));

/** A Node process of a test, with its output line by line. */
export interface TestProcess {
  readonly pid: number;
  /** Standard output so far. */
  readonly lines: readonly string[];
  readonly stderr: string;
  /** Closes the reading end of its standard error. */
  stopReading(): void;
  /** The first line that matches, past or future. Rejects if the process ends before. */
  line(pattern: RegExp, ms?: number): Promise<string>;
  /** Resolves at its end with the exit code or the signal. */
  readonly exited: Promise<number | NodeJS.Signals>;
  kill(signal: NodeJS.Signals): void;
}

export interface TestProcessOptions {
  /** A TypeScript file, compiled on import. */
  readonly script: URL;
  readonly args?: readonly string[];
  /** Variables in addition to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** A shell command that reads its standard error through a pipe: Node's own are sockets. The exit code is its. */
  readonly stderrReader?: string;
  /** `ulimit -f`: the largest file it may write, in KiB, until `prlimit` lifts it. */
  readonly fileSizeLimitKiB?: number;
}

export function startProcess(options: TestProcessOptions): TestProcess {
  const command = [
    process.execPath,
    "--import",
    hooks,
    fileURLToPath(options.script),
    ...(options.args ?? []),
  ];
  const limit = options.fileSizeLimitKiB;
  // dash counts in blocks of 512 bytes.
  const limited = ["sh", "-c", `ulimit -S -f ${(limit ?? 0) * 2}; exec "$@"`, "sh", ...command];
  const piped = ["sh", "-c", `{ "$@" 2>&1 >&3 | ${options.stderrReader}; } 3>&1`, "sh", ...command];
  const unlimited = options.stderrReader === undefined ? command : piped;
  const [program = "", ...args] = limit === undefined ? unlimited : limited;
  const env = { ...process.env, ...options.env };
  return watch(spawnChild(program, args, { stdio: ["ignore", "pipe", "pipe"], env }));
}

function watch(child: ChildProcess): TestProcess {
  const lines: string[] = [];
  const waiting = new Set<(line: string) => void>();
  let stderr = "";
  // A character may come in two chunks.
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  if (child.stdout) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      lines.push(line);
      for (const check of waiting) check(line);
    });
  }
  const exited = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(signal ?? code ?? -1));
  });
  return {
    pid: child.pid ?? -1,
    lines,
    get stderr() {
      return stderr;
    },
    line(pattern, ms) {
      const before = lines.find((line) => pattern.test(line));
      if (before !== undefined) return Promise.resolve(before);
      const arrived = new Promise<string>((resolve, reject) => {
        const check = (line: string) => {
          if (pattern.test(line)) resolve(line);
        };
        waiting.add(check);
        const ended = (how: unknown) => reject(new Error(`no ${pattern}: it ended with ${how}: ${stderr}`));
        void exited.then(ended, ended);
      });
      return within(arrived, `${pattern}; stderr: ${stderr}`, ms);
    },
    stopReading: () => void child.stderr?.destroy(),
    exited,
    kill: (signal) => void child.kill(signal),
  };
}
