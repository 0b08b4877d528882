import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

import { textOf } from "./checker.ts";
import { isShape, type Shape, shapes } from "./deployment.ts";
import { type RunResult, run } from "./run.ts";
import { describeFault, killsOf } from "./schedule.ts";

const usage = `usage: npm run chaos -- [--seeds N] [--from S] [--shape ${shapes.join("|")}] [--nodes N] [--kills N] [--parallel N] [--out FOLDER]`;

interface Settings {
  readonly seeds: number;
  readonly from: number;
  readonly shape: Shape;
  readonly nodes: number;
  /** 0: the seed's own faults. Otherwise the first node is killed this many times in each seed. */
  readonly kills: number;
  readonly parallel: number;
  readonly out: string;
}

/** Throws a `TypeError` with a readable message. */
function settingsOf(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: "string", default: "10" },
      from: { type: "string", default: "1" },
      shape: { type: "string", default: "standalone" },
      nodes: { type: "string" },
      kills: { type: "string", default: "0" },
      parallel: { type: "string", default: "2" },
      out: { type: "string", default: "data/chaos" },
    },
  });
  const { shape } = values;
  if (!isShape(shape)) throw new TypeError(`--shape is one of ${shapes.join(", ")}`);
  return {
    seeds: whole("seeds", values.seeds, 1, 100_000),
    from: whole("from", values.from, 0, 2 ** 32 - 1),
    nodes: whole("nodes", values.nodes ?? (shape === "embedded" ? "1" : "3"), 1, 5),
    kills: whole("kills", values.kills, 0, 1_000),
    parallel: whole("parallel", values.parallel, 1, 16),
    shape,
    out: values.out,
  };
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new TypeError(`--${name} is a whole number from ${least} to ${most}`);
}

/** Runs the seeds, several in parallel. Prints one line for each, and writes the history of a failure to a file. */
async function main(args: readonly string[]): Promise<number> {
  const settings = settingsOf(args);
  const { seeds, from, parallel } = settings;
  const failed: number[] = [];
  let next = from;
  const began = performance.now();
  const work = async () => {
    while (next < from + seeds) {
      const seed = next;
      next += 1;
      if (!(await one(seed, settings))) failed.push(seed);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`${seeds - failed.length} of ${seeds} seeds kept every promise (${seconds} s)`);
  if (failed.length > 0) console.log(`failed: ${failed.sort((a, b) => a - b).join(" ")}`);
  return failed.length === 0 ? 0 : 1;
}

async function one(seed: number, settings: Settings): Promise<boolean> {
  try {
    const { kills } = settings;
    const schedule = kills === 0 ? {} : { schedule: killsOf(seed, kills) };
    const result = await run(seed, { ...settings, ...schedule });
    console.log(lineOf(result));
    if (result.violations.length === 0) return true;
    report(result, settings);
  } catch (error) {
    console.log(`seed ${seed}: could not be run: ${error instanceof Error ? error.stack : error}`);
  }
  return false;
}

function lineOf({ seed, schedule, history, violations, stalledMs }: RunResult): string {
  const faults = schedule.faults.map(describeFault).join(", ");
  const verdict = violations.length === 0 ? "ok" : `${violations.length} VIOLATIONS`;
  const operations = new Set(history.entries.map(({ id }) => id)).size;
  return `seed ${seed}: ${verdict}, ${operations} operations, stalled ${stalledMs} ms; ${faults}`;
}

function report(
  { seed, history, violations, output }: RunResult,
  { out, shape, nodes, kills }: Settings,
): void {
  mkdirSync(out, { recursive: true });
  const file = path.join(out, `${shape}-${seed}.jsonl`);
  const logFile = path.join(out, `${shape}-${seed}.log`);
  writeFileSync(file, history.toText());
  writeFileSync(logFile, output);
  console.log(textOf(violations));
  console.log(`history: ${file}`);
  console.log(`what the nodes wrote: ${logFile}`);
  console.log(
    `again: npm run chaos -- --seeds 1 --from ${seed} --shape ${shape} --nodes ${nodes} --kills ${kills}`,
  );
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof TypeError)) throw error;
  console.error(`${error.message}\n${usage}`);
  process.exitCode = 2;
}
