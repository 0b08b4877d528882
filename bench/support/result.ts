import type { Figure } from "./figures.ts";
import type { Machine } from "./machine.ts";

export interface Contender {
  readonly name: string;
  readonly version: string;
  /** By column; a column that is missing is printed as `-`. */
  readonly figures: Readonly<Record<string, Figure>>;
}

/** A contender that did not run; it has its line in the table all the same. */
export interface Absent {
  readonly name: string;
  readonly reason: string;
}

/** What a number has to be. `must` fails the command with `--check`; `aim` is only shown. */
export interface Threshold {
  readonly name: string;
  /** One value a round; the median counts. */
  readonly values: readonly number[];
  readonly unit: string;
  readonly must?: { readonly atMost: number } | { readonly atLeast: number };
  readonly aim?: number;
}

export interface Result {
  readonly question: string;
  readonly title: string;
  /** The column that is charted; less is better where `lessIsBetter`. */
  readonly main: { readonly column: string; readonly lessIsBetter: boolean };
  readonly columns: readonly string[];
  readonly settings: Readonly<Record<string, string | number>>;
  readonly contenders: readonly Contender[];
  readonly absent: readonly Absent[];
  readonly thresholds: readonly Threshold[];
  readonly remarks: readonly string[];
}

/** As it is written to a file. */
export interface Published extends Result {
  readonly at: string;
  readonly command: string;
  readonly machine: Machine;
}
