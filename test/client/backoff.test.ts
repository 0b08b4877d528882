import { describe, expect, it } from "vitest";

import { createBackoff } from "../../src/client/backoff.ts";

describe("backoff", () => {
  it("doubles its ceiling up to the cap and starts again after success", () => {
    const backoff = createBackoff({ baseMs: 100, capMs: 500, random: () => 0.999_999 });
    expect([backoff.next(), backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([
      99, 199, 399, 499, 499,
    ]);
    backoff.reset();
    expect(backoff.next()).toBe(99);
  });

  it("spreads over the whole range from zero (full jitter)", () => {
    const draws = [0, 0.5, 0.999_999];
    const backoff = createBackoff({ baseMs: 1000, capMs: 1000, random: () => draws.shift() ?? 0 });
    expect([backoff.next(), backoff.next(), backoff.next()]).toEqual([0, 500, 999]);
  });
});
