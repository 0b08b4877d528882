import { describe, expect, it } from "vitest";

import { dotChartOf } from "../../bench/support/dot-chart.ts";
import type { Dots, Published } from "../../bench/support/result.ts";

const dots: Dots = {
  columns: ["p50", "max"],
  limit: "bound",
  aside: "closed",
  unit: "ms",
  marks: [1, 10, 100],
  text: "less is better",
};

function chartOf(figures: Readonly<Record<string, number>>): string {
  const measured = Object.entries(figures).map(([name, value]) => [name, { unit: "ms", values: [value] }]);
  const published: Published = {
    at: "2026-11-25T00:00:00.000Z",
    command: "npm run bench",
    question: "dots",
    title: "Dots",
    machine: { cpu: "a processor", cores: 2, memoryGiB: 4, kernel: "6", node: "v20" },
    main: { column: "max", lessIsBetter: true },
    dots,
    columns: [],
    settings: {},
    absent: [],
    contenders: [{ name: "a <fault>", version: "1", figures: Object.fromEntries(measured) }],
    thresholds: [],
    remarks: [],
  };
  return dotChartOf(published, dots);
}

const numbers = (chart: string, pattern: RegExp) =>
  [...chart.matchAll(pattern)].map((found) => Number(found[1]));
const placesOf = (chart: string) => ({
  dots: numbers(chart, /class="ours" cx="([\d.]+)"/g),
  limits: numbers(chart, /class="limit" x1="([\d.]+)"/g),
  asides: numbers(chart, /class="aside" cx="([\d.]+)"/g),
  marks: numbers(chart, /class="grid" x1="([\d.]+)"/g),
});

describe("a chart of dots", () => {
  it("has a scale on which tenfold is one step, for dots, limit and the additional column", () => {
    const chart = chartOf({ p50: 1, max: 10, bound: 100, closed: 10 });
    const { dots: places, limits, asides, marks } = placesOf(chart);
    expect(marks).toHaveLength(3);
    const [first = 0, second = 0, third = 0] = marks;
    expect(third - second).toBeCloseTo(second - first, 0);
    expect(places).toEqual([first, second]);
    expect(limits).toEqual([third]);
    expect(asides).toEqual([second]);
    expect(chart).toContain(">10 ms<");
    expect(chart).toContain("a &#60;fault&#62;");
  });

  it("shows on which side of the limit a dot is", () => {
    const { dots: places, limits } = placesOf(chartOf({ p50: 9, max: 11, bound: 10 }));
    expect(places[0]).toBeLessThan(limits[0] ?? 0);
    expect(places[1]).toBeGreaterThan(limits[0] ?? 0);
  });

  it("draws values below the scale at its start, and labels those before it", () => {
    const chart = chartOf({ p50: -700, max: -1, bound: 10, closed: 1_000 });
    const { dots: places, asides, marks } = placesOf(chart);
    expect(places).toEqual([marks[0], marks[0]]);
    expect(asides).toEqual([marks[2]]);
    expect(chart).toContain(">before<");
    expect(chart).not.toMatch(/NaN|Infinity/);
  });

  it("leaves out what was not measured", () => {
    const chart = chartOf({ p50: Number.NaN, max: Number.NaN });
    expect(placesOf(chart)).toMatchObject({ dots: [], limits: [], asides: [] });
    expect(chart).not.toMatch(/NaN|Infinity/);
  });
});
