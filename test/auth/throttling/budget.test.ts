import { describe, expect, it } from "vitest";

import { refund, spend } from "../../../src/auth/throttling/budget.ts";

const budget = { attempts: 3, refillMs: 1_000 };
const now = 50_000;

/** How many attempts a counter has at `now`. */
function triesLeft(fullAt: number | undefined): number {
  let counter = fullAt;
  for (let attempts = 0; ; attempts += 1) {
    const spending = spend(budget, counter, now);
    if (!spending.ok) return attempts;
    counter = spending.fullAt;
  }
}

describe("a budget", () => {
  it("gives its attempts at once, and says when the next one is available", () => {
    expect(triesLeft(undefined)).toBe(3);
    expect(spend(budget, now + 3_000, now)).toEqual({ ok: false, retryAfterMs: 1_000 });
    expect(spend(budget, now + 2_400, now)).toEqual({ ok: false, retryAfterMs: 400 });
  });

  it("refills one by one, and never above its capacity", () => {
    expect([3_000, 2_000, 1_000, 0, -1_000_000].map((ahead) => triesLeft(now + ahead))).toEqual([
      0, 1, 2, 3, 3,
    ]);
  });

  it("counts as empty, and not less, if another clock wrote it", () => {
    expect(spend(budget, now + 86_400_000, now)).toEqual({ ok: false, retryAfterMs: 1_000 });
  });

  it("refunds a charge", () => {
    const spent = spend(budget, undefined, now);
    if (!spent.ok) throw new Error("refused");
    expect(triesLeft(refund(budget, spent.fullAt))).toBe(3);
    expect(refund(budget, undefined)).toBe(0);
  });
});
