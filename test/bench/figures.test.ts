import { describe, expect, it } from "vitest";
import { figure, latencies, median, percentile, plain, ratios } from "../../bench/support/figures.ts";

describe("the figures of a benchmark", () => {
  it("takes percentiles by nearest rank", () => {
    const oneToThousand = Array.from({ length: 1000 }, (_, nth) => nth + 1);
    expect(percentile(oneToThousand, 0.5)).toBe(500);
    expect(percentile(oneToThousand, 0.99)).toBe(990);
    expect(percentile(oneToThousand, 0.999)).toBe(999);
    expect(percentile([7], 0.99)).toBe(7);
    expect(percentile([], 0.5)).toBeNaN();
  });

  it("sorts durations before it ranks them, as numbers", () => {
    const durations = [100, 9, 20, 1000, 3];
    expect(latencies(durations)).toEqual({ count: 5, p50: 20, p99: 1000, p999: 1000, max: 1000 });
    expect(durations).toEqual([100, 9, 20, 1000, 3]);
  });

  it("takes the middle of an odd and between the middle two of an even number of rounds", () => {
    expect(median([10, 9, 100])).toBe(10);
    expect(median([1, 2, 3, 10])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it("compares round by round", () => {
    expect(ratios(figure("µs", [10, 40]), figure("µs", [5, 10]))).toEqual([2, 4]);
  });

  it("prints three digits and no exponents", () => {
    expect([0.000123, 1.2345, 12.345, 123.45, 1234.5].map(plain)).toEqual([
      "0.000123",
      "1.23",
      "12.3",
      "123",
      "1,235",
    ]);
    expect(plain(Number.NaN)).toBe("-");
  });
});
