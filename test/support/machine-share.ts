import { readFileSync } from "node:fs";

/** CPU time that the sample takes. */
const sampleMs = 20;

/**
 * How much longer this process takes for its work than alone on the machine, at least 1: now, or in its whole life if
 * that was worse. Other programs run too, and a limit on real time must allow for that. Keeps this process busy for 20
 * ms of CPU time.
 */
export function machineShare(): number {
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  };
  const inAll = 1 + waitedForProcessor(process.pid) / cpu();
  const [began, used] = [performance.now(), cpu()];
  while (cpu() - used < sampleMs);
  return Math.max(inAll, (performance.now() - began) / (cpu() - used));
}

/** A limit on real time, ms, scaled to the current load of the machine. */
export function stretched(ms: number): number {
  return ms * machineShare();
}

/**
 * How long a process's main thread has been ready to run since its start while the machine ran others, ms (Linux, the
 * second number of `schedstat`). 0 where it is not known.
 */
export function waitedForProcessor(pid: number): number {
  try {
    const [, waitedNs = 0] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8")
      .split(" ")
      .map(Number);
    return waitedNs / 1e6;
  } catch {
    return 0;
  }
}
