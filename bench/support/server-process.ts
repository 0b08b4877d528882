import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

/** A server under test in its own process; it sends `{port, tokens}` when it is ready. */
export interface ServerProcess {
  readonly port: number;
  readonly tokens: readonly string[];
  /** CPU seconds (user and system, all threads) since the start, from the operating system. */
  cpuSeconds(): number;
  /** Resident bytes. */
  residentBytes(): number;
  stop(): Promise<void>;
}

const TICKS_PER_SECOND = 100;

export async function startServer(file: string, args: readonly string[]): Promise<ServerProcess> {
  const child: ChildProcess = fork(file, [...args], { stdio: ["ignore", "ignore", "ignore", "ipc"] });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`${file} ended with ${code} before it was ready`);
  });
  const [ready] = (await Promise.race([once(child, "message"), ended])) as [
    { port: number; tokens: string[] },
  ];
  ended.catch(() => {});
  const proc = `/proc/${child.pid}`;
  return {
    ...ready,
    cpuSeconds() {
      const fields = readFileSync(`${proc}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    },
    residentBytes() {
      const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`${proc}/status`, "utf8"));
      return Number(line?.[1] ?? 0) * 1024;
    },
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}
