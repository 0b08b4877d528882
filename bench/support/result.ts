import type { Figure } from "./figures.ts";
import type { Machine } from "./machine.ts";

export interface Contender {
  readonly name: string;
  readonly version: string;
  /** By column; a missing column is printed as `-`. */
  readonly figures: Readonly<Record<string, Figure>>;
}

/** A contender that did not run; it still has a line in the table. */
export interface Absent {
  readonly name: string;
  readonly reason: string;
}

/** The limit of a number. `must` fails the command with `--check`; `aim` is only shown. */
export interface Threshold {
  readonly name: string;
  /** One value for each round; the median counts. */
  readonly values: readonly number[];
  readonly unit: string;
  readonly must?: { readonly atMost: number } | { readonly atLeast: number };
  readonly aim?: number;
}

/** A chart of dots on a logarithmic scale, in place of bars. All columns have one unit. */
export interface Dots {
  /** Ascending from one to the next. */
  readonly columns: readonly string[];
  /** The column that none of them may exceed. */
  readonly limit: string;
  readonly aside: string;
  readonly unit: string;
  /** Marks of the scale, ascending and above 0, with its start and end. */
  readonly marks: readonly number[];
  readonly text: string;
}

export interface Result {
  readonly question: string;
  readonly title: string;
  /** The column in the chart; less is better if `lessIsBetter`. */
  readonly main: { readonly column: string; readonly lessIsBetter: boolean };
  readonly dots?: Dots;
  readonly columns: readonly string[];
  readonly settings: Readonly<Record<string, string | number>>;
  readonly contenders: readonly Contender[];
  readonly absent: readonly Absent[];
  readonly thresholds: readonly Threshold[];
  readonly remarks: readonly string[];
}

/** The content of the file. */
export interface Published extends Result {
  readonly at: string;
  readonly command: string;
  readonly machine: Machine;
}
