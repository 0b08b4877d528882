import { describe, expect, it } from "vitest";

import { createBackoff, reconnectionAfter } from "../../src/client/reconnect-rule.ts";

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

describe("what follows a close", () => {
  const backoff = () => createBackoff({ baseMs: 1000, capMs: 4000, random: () => 0.5 });

  it("at once, but not again unless the client was authenticated for 30 s", () => {
    const one = backoff();
    const next = (authenticatedForMs: number) => reconnectionAfter(4200, authenticatedForMs, one);
    expect(next(0)).toEqual({ afterMs: 0, refreshFirst: true });
    expect(next(29_999)).toEqual({ afterMs: 1000, refreshFirst: true });
    expect(next(29_999)).toEqual({ afterMs: 2000, refreshFirst: true });
    expect(next(30_000)).toEqual({ afterMs: 0, refreshFirst: true });
  });

  it("after a delay, which starts again at its base after 30 s", () => {
    const one = backoff();
    const next = (authenticatedForMs: number) => reconnectionAfter(1006, authenticatedForMs, one)?.afterMs;
    expect([next(0), next(0), next(29_999), next(30_000), next(0)]).toEqual([500, 1000, 2000, 500, 1000]);
  });

  it("nothing, if the close is for good", () => {
    expect(reconnectionAfter(4300, 60_000, backoff())).toBeUndefined();
  });
});
