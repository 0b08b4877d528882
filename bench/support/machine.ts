import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";

const TICKS_PER_SECOND = 100;

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
}

export function thisMachine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: readFileSync("/proc/sys/kernel/osrelease", "utf8").trim(),
    node: process.version,
  };
}

/** With more than one core the servers have the first one to themselves, and the load has the others. */
export function pinning(): { readonly servers: string; readonly load: string } | undefined {
  const cores = cpus().length;
  if (cores < 2 || !existsSync("/usr/bin/taskset")) return undefined;
  return { servers: "0", load: cores === 2 ? "1" : `1-${cores - 1}` };
}

/**
 * CPU seconds, user and system, of all threads of a process that still live. From the scheduler, in nanoseconds, where
 * the kernel keeps that (`/proc/PID/task/TID/schedstat`), else from the process times, in ticks of 10 ms.
 */
export function cpuSecondsOf(pid: number): number {
  try {
    let nanoseconds = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`))
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    return nanoseconds / 1e9;
  } catch {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }
}

/** Bytes of memory that only this process has (private resident), so that shared libraries count for nobody. */
export function residentBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
