import { describe, expect, it } from "vitest";

import { LoopBudget, type UnauthenticatedWork, unlimitedLoopBudget } from "../../src/net/loop-budget.ts";

function setUp(msPerSecond = 100) {
  let now = 5_000;
  const refused: UnauthenticatedWork[] = [];
  const budget = new LoopBudget({ msPerSecond, now: () => now, onRefused: (work) => refused.push(work) });
  return {
    budget,
    refused,
    wind: (ms: number) => {
      now += ms;
    },
  };
}

describe("the loop's time of strangers", () => {
  it("is refused beyond eight seconds' worth, for as long as it takes to pay the rest back", () => {
    const { budget, refused, wind } = setUp();
    budget.charge("a", 800);
    expect(budget.refusal("a", "upgrade")).toBeUndefined();
    budget.charge("a", 250);
    expect(budget.refusal("a", "upgrade")).toBe(3);
    wind(2_000);
    expect(budget.refusal("a", "message")).toBe(1);
    wind(600);
    expect(budget.refusal("a", "request")).toBeUndefined();
    expect(refused).toEqual(["upgrade", "message"]);
  });

  it("is each address's own", () => {
    const { budget } = setUp();
    budget.charge("a", 10_000);
    expect([budget.refusal("a", "request") !== undefined, budget.refusal("b", "request")]).toEqual([
      true,
      undefined,
    ]);
  });

  it("keeps nobody out for longer than a burst takes, and remembers a bounded number of addresses", () => {
    const { budget, wind } = setUp();
    for (let count = 0; count < 100; count += 1) budget.charge("a", 100_000);
    expect(budget.refusal("a", "request")).toBe(8);
    wind(8_000);
    expect(budget.refusal("a", "request")).toBeUndefined();
    for (let count = 0; count < 10_500; count += 1) budget.charge(`x${count}`, 1);
    expect(budget.shares).toBe(10_000);
  });

  it("says who goes on while it is refused", () => {
    const { budget, refused, wind } = setUp();
    expect([budget.take("a", "message", 800), budget.take("a", "message", 1)]).toEqual([true, false]);
    expect(budget.persistsDespiteRefusal("a")).toBe(false);
    budget.charge("a", 500);
    expect([budget.persistsDespiteRefusal("a"), budget.persistsDespiteRefusal("b")]).toEqual([true, false]);
    wind(2_000);
    expect(budget.persistsDespiteRefusal("a")).toBe(false);
    expect(refused).toEqual(["message"]);
  });

  it("is not counted where it is not limited", () => {
    const budget = unlimitedLoopBudget();
    for (let count = 0; count < 100; count += 1) budget.charge("a", 100_000);
    expect(budget.refusal("a", "request")).toBeUndefined();
  });
});
