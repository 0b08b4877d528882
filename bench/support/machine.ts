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

/** The first core that this process may use is for the servers, the others for the load; undefined with one core. */
export function pinning(): { readonly servers: string; readonly load: string } | undefined {
  const allowed = /Cpus_allowed_list:\s+(\S+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  const [servers, ...load] = allowed.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, nth) => String(first + nth));
  });
  if (servers === undefined || load.length === 0 || !existsSync("/usr/bin/taskset")) return undefined;
  return { servers, load: load.join(",") };
}

const nanosecondsAreKept = existsSync("/proc/self/schedstat");

/**
 * CPU seconds, user and system, of a process. If the kernel provides it, from the scheduler, in nanoseconds, of all
 * threads that still live (`/proc/PID/task/TID/schedstat`). Otherwise from the process times, in ticks of 10 ms.
 */
export function cpuSecondsOf(pid: number): number {
  if (nanosecondsAreKept) {
    const threads = readdirSync(`/proc/${pid}/task`);
    return (
      threads.reduce((sum, thread) => sum + nanosecondsOf(`/proc/${pid}/task/${thread}/schedstat`), 0) / 1e9
    );
  }
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function nanosecondsOf(file: string): number {
  try {
    return Number(readFileSync(file, "utf8").split(" ")[0]);
  } catch {
    // The thread ended after the folder was read.
    return 0;
  }
}

/** Bytes of private resident memory: shared libraries are not counted. */
export function residentBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

/** Milliseconds of the machine's monotonic clock, which all its processes share. */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
