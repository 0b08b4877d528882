/** CPU time that the sample takes. */
const sampleMs = 20;

/**
 * How much longer this process takes for its work than alone on the machine, at least 1. Other programs run too, and a
 * limit on real time must allow for that. Keeps this process busy for 20 ms of CPU time.
 */
export function machineShare(): number {
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  };
  const [began, used] = [performance.now(), cpu()];
  while (cpu() - used < sampleMs);
  return Math.max(1, (performance.now() - began) / (cpu() - used));
}

/** A limit on real time, ms, scaled to the current load of the machine. */
export function stretched(ms: number): number {
  return ms * machineShare();
}
