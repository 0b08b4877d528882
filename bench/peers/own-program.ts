import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

const readyWithinMs = 10_000;

/** A folder that is removed with this process. */
export function scratchFolder(name: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), `gatehouse-bench-${name}-`));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The output of a program's version flag. Throws if the program is not installed. */
export function versionOf(command: string, args: readonly string[], pattern: RegExp): string {
  const { stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (error !== undefined) throw new Error(`${command} is not installed`);
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? "unknown";
}

/**
 * Starts a server that does not run on Node; resolves once its port answers. It ends with this process and has the same
 * CPU pinning.
 */
export async function startProgram(
  command: string,
  args: readonly string[],
  port: number,
): Promise<ChildProcess> {
  const program = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  let lastWords = "";
  program.stderr?.on("data", (chunk: Buffer) => {
    lastWords = (lastWords + chunk.toString()).slice(-1_000);
  });
  process.on("exit", () => program.kill("SIGKILL"));
  const end = performance.now() + readyWithinMs;
  while (performance.now() < end) {
    if (program.exitCode !== null) throw new Error(`${command} ended: ${lastWords}`);
    if (await answers(port)) return program;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${command} does not listen: ${lastWords}`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
