import { type ChildProcess, spawn } from "node:child_process";

/** Most bytes of output; a command that writes more is ended. */
export const maxOutputBytes = 64 * 1024;

export interface CommandRequest {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the command. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Whether the output is read; it is discarded otherwise. */
  readonly readsOutput: boolean;
}

export type CommandOutcome =
  | { readonly kind: "ended"; readonly succeeded: boolean; readonly output: Buffer }
  /** The command did not start, or was ended before it had answered. `reason` holds no input. */
  | { readonly kind: "failed"; readonly reason: string };

export interface RunningCommand {
  readonly outcome: Promise<CommandOutcome>;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
}

/**
 * Runs a program in a process group of its own, without a shell. When it ends, and when it is ended, the whole group is
 * killed, so nothing that it started goes on. NOT killed: a process that leaves the group (`setsid`).
 */
export function runCommand(request: CommandRequest): RunningCommand {
  let child: ChildProcess;
  try {
    child = spawn(request.command, request.args, {
      env: { ...request.env },
      detached: true,
      shell: false,
      stdio: ["ignore", request.readsOutput ? "pipe" : "ignore", "ignore"],
    });
  } catch (error) {
    return { outcome: Promise.resolve(notStarted(error)), gone: Promise.resolve() };
  }
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  return { outcome: outcomeOf(child, request.timeoutMs), gone };
}

function outcomeOf(child: ChildProcess, timeoutMs: number): Promise<CommandOutcome> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (outcome: CommandOutcome) => {
      clearTimeout(timer);
      resolve(outcome);
    };
    const end = (reason: string) => {
      killGroup(child);
      child.stdout?.destroy();
      settle({ kind: "failed", reason });
    };
    const timer = setTimeout(() => end(`it did not end within ${timeoutMs} ms`), timeoutMs);
    child.stdout?.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxOutputBytes) end(`it wrote more than ${maxOutputBytes} bytes`);
      else chunks.push(chunk);
    });
    child.stdout?.on("error", () => undefined);
    child.once("error", (error) => settle(notStarted(error)));
    // What the command left behind may hold its output open, and "close" would wait for it.
    child.once("exit", () => killGroup(child));
    child.once("close", (code) =>
      settle({ kind: "ended", succeeded: code === 0, output: Buffer.concat(chunks) }),
    );
  });
}

/** Of a process that has ended the group's id stays taken while somebody is in it; nobody in it is no error. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody is left.
  }
}

function notStarted(error: unknown): CommandOutcome {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  return { kind: "failed", reason: `it could not be started (${code})` };
}
