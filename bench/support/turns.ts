import type { Child } from "./child.ts";

/** One row of a table: an operation that a server repeats. */
export interface Contestant {
  readonly name: string;
  readonly server: Child;
  /** Runs one round. */
  run(): Promise<{ readonly operations: number; readonly seconds: number }>;
}

export interface Turns {
  /** CPU of the server's process, all threads, in microseconds for one operation, by round. */
  readonly cpu: readonly number[];
  /** Operations per second of wall-clock time, by round. */
  readonly rates: readonly number[];
}

export interface TurnOptions {
  /**
   * Rounds that are not counted, for the compiler and the caches, after the garbage of the preparation was collected.
   */
  readonly warmUps: number;
  readonly rounds: number;
  /** Minimum time from the start of one turn of a contestant to its next. */
  readonly everyMs?: number;
}

/** All contestants take turns in each round, so that other load of the machine affects all alike. */
export async function takeTurns<One extends Contestant>(
  contestants: readonly One[],
  { warmUps, rounds, everyMs = 0 }: TurnOptions,
): Promise<ReadonlyMap<One, Turns>> {
  const taken = new Map(contestants.map((one) => [one, { cpu: [] as number[], rates: [] as number[] }]));
  for (const { server } of contestants) await server.ask("settle");
  for (let round = 0; round < warmUps; round += 1) {
    for (const one of contestants) await one.run();
  }
  const last = new Map<One, number>();
  for (let round = 0; round < rounds; round += 1) {
    for (const [one, { cpu, rates }] of taken) {
      const wait = (last.get(one) ?? Number.NEGATIVE_INFINITY) + everyMs - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      last.set(one, performance.now());
      const before = one.server.cpuSeconds();
      const { operations, seconds } = await one.run();
      await one.server.ask("quiet");
      cpu.push(((one.server.cpuSeconds() - before) / operations) * 1e6);
      rates.push(operations / seconds);
    }
  }
  return taken;
}
