import type { Child } from "./child.ts";

/** One row of a table: something that a server is asked to do again and again. */
export interface Contestant {
  readonly name: string;
  readonly server: Child;
  /** One round. */
  run(): Promise<{ readonly operations: number; readonly seconds: number }>;
}

export interface Turns {
  /** Of the server's process, all threads, in microseconds an operation, by round. */
  readonly cpu: readonly number[];
  /** Operations a second by the wall clock, by round. */
  readonly rates: readonly number[];
}

export interface TurnOptions {
  readonly rounds: number;
  /** From the beginning of one turn of a contestant to its next, at least. */
  readonly everyMs?: number;
}

/** Everybody in turn, round by round, so that what else the machine does hits all of them alike. */
export async function takeTurns<One extends Contestant>(
  contestants: readonly One[],
  { rounds, everyMs = 0 }: TurnOptions,
): Promise<ReadonlyMap<One, Turns>> {
  const taken = new Map(contestants.map((one) => [one, { cpu: [] as number[], rates: [] as number[] }]));
  const last = new Map<One, number>();
  for (let round = 0; round < rounds; round += 1) {
    for (const [one, { cpu, rates }] of taken) {
      const wait = (last.get(one) ?? Number.NEGATIVE_INFINITY) + everyMs - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      last.set(one, performance.now());
      await one.server.ask("settle").catch(() => undefined);
      const before = one.server.cpuSeconds();
      const { operations, seconds } = await one.run();
      cpu.push(((one.server.cpuSeconds() - before) / operations) * 1e6);
      rates.push(operations / seconds);
    }
  }
  return taken;
}
