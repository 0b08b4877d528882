/** One measured quantity of one contender, with a value for each round. */
export interface Figure {
  readonly unit: string;
  readonly values: readonly number[];
}

export function figure(unit: string, values: readonly number[]): Figure {
  return { unit, values };
}

export function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Nearest rank; `sorted` ascends. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export interface Latencies {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Durations in milliseconds. */
export function latencies(durations: readonly number[]): Latencies {
  const sorted = ascending(durations);
  return {
    count: sorted.length,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    p999: percentile(sorted, 0.999),
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** Round by round, so that a slow round affects both sides. */
export function ratios(of: Figure, to: Figure): number[] {
  return of.values.map((value, round) => value / (to.values[round] ?? Number.NaN));
}

/** Three significant digits, without exponents. */
export function plain(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return Number(value.toPrecision(3)).toString();
}
