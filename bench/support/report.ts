import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { chartOf } from "./chart.ts";
import { dotChartOf } from "./dot-chart.ts";
import { type Figure, median, plain } from "./figures.ts";
import { thisMachine } from "./machine.ts";
import type { Published, Result, Threshold } from "./result.ts";

/**
 * Prints the result and writes it as JSON and SVG: to `dist/bench/results`, or with `--publish` to `bench/results`,
 * which the README shows. With `--check` a missed `must` makes the exit code 1.
 */
export function report(result: Result): void {
  const flags = new Set(process.argv.slice(2));
  if (result.contenders.length + result.absent.length === 0) {
    console.error("--only names no contender of this benchmark");
    process.exitCode = 2;
    return;
  }
  const published: Published = {
    at: new Date().toISOString(),
    command: ["npm run bench --", result.question, ...settingsOf(process.argv.slice(2))].join(" "),
    machine: thisMachine(),
    ...result,
  };
  console.log(tableOf(published));
  const folder = path.resolve(flags.has("--publish") ? "bench/results" : "dist/bench/results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, `${result.question}.json`), `${JSON.stringify(published, null, 1)}\n`);
  const chart = result.dots === undefined ? chartOf(published) : dotChartOf(published, result.dots);
  writeFileSync(path.join(folder, `${result.question}.svg`), chart);
  const missed = result.thresholds.filter((threshold) => !isMet(threshold));
  if (!flags.has("--check")) return;
  if (result.thresholds.length === 0) {
    console.log("check: no threshold is about what has run");
    process.exitCode = 1;
    return;
  }
  console.log(missed.length === 0 ? "check: passed" : `check: ${missed.length} failed`);
  if (missed.length > 0) process.exitCode = 1;
}

/** The arguments, without those that only concern the output. */
function settingsOf(args: readonly string[]): string[] {
  return args.filter((arg) => !["--check", "--publish", "--profile"].includes(arg));
}

function tableOf(result: Published): string {
  const { machine, settings } = result;
  const rows = [
    ["", "version", ...result.columns],
    ...result.contenders.map(({ name, version, figures }) => [
      name,
      version,
      ...result.columns.map((column) => cell(figures[column])),
    ]),
    ...result.absent.map(({ name, reason }) => [name, "", `did not run: ${reason}`]),
  ];
  const about = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  return [
    `\n${result.title}`,
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, Linux ${machine.kernel}`,
    `${about.join(", ")}\n`,
    ...aligned(rows),
    "",
    ...result.thresholds.map(verdictOf),
    ...result.remarks.map((remark) => `note: ${remark}`),
  ].join("\n");
}

function cell(figure: Figure | undefined): string {
  if (figure === undefined) return "-";
  const { values, unit } = figure;
  const middle = `${plain(median(values))} ${unit}`;
  if (values.length < 2) return middle;
  return `${middle} (${plain(Math.min(...values))}-${plain(Math.max(...values))})`;
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.filter((row) => row.length > 3 || column < 2).map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function isMet({ values, must }: Threshold): boolean {
  const value = median(values);
  if (must === undefined) return true;
  return "atMost" in must ? value <= must.atMost : value >= must.atLeast;
}

function verdictOf(threshold: Threshold): string {
  const { name, values, unit, must, aim } = threshold;
  const sign = must !== undefined && "atLeast" in must ? ">=" : "<=";
  const bound = must === undefined ? undefined : "atMost" in must ? must.atMost : must.atLeast;
  const spread = values.length < 2 ? "" : ` (${plain(Math.min(...values))}-${plain(Math.max(...values))})`;
  const demands = [
    ...(bound === undefined ? [] : [`must ${sign} ${plain(bound)}`]),
    ...(aim === undefined ? [] : [`aim ${sign} ${plain(aim)}`]),
  ];
  const verdict = bound === undefined ? "     " : isMet(threshold) ? "ok   " : "FAIL ";
  return `${verdict}${name}: ${plain(median(values))}${unit}${spread}${demands.length > 0 ? `, ${demands.join(", ")}` : ""}`;
}
