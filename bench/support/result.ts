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

/** A chart of dots on a logarithmic scale instead of bars. All columns are of one unit. */
export interface Dots {
  /** Rising from one to the next. */
  readonly columns: readonly string[];
  /** What none of them may pass. */
  readonly limit: string;
  readonly aside: string;
  readonly unit: string;
  /** Of the scale, ascending, its begin and its end among them; above 0. */
  readonly marks: readonly number[];
  readonly text: string;
}

export interface Result {
  readonly question: string;
  readonly title: string;
  /** The column that is charted; less is better where `lessIsBetter`. */
  readonly main: { readonly column: string; readonly lessIsBetter: boolean };
  readonly dots?: Dots;
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
