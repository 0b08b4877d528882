import { describe, expect, it } from "vitest";

import { textOf } from "./checker.ts";
import { named, operationsOf } from "./operations.ts";
import { run } from "./run.ts";
import { noFaults, scheduleOf } from "./schedule.ts";

describe("a run", () => {
  it("without faults keeps every promise, and every kind of operation was done", async () => {
    const schedule = { ...noFaults, healAt: 4_000, seed: 1 };
    const { history, violations } = await run(1, { shape: "standalone", nodes: 2, schedule });
    expect(textOf(violations)).toBe("");
    const operations = operationsOf(history.entries);
    const ended = (op: Parameters<typeof named>[1], phase: string) =>
      named(operations, op).filter((one) => one.phase === phase).length;
    for (const op of ["login", "authenticate", "use", "refresh", "revoke", "redeem"] as const)
      expect(ended(op, "ok"), op).toBeGreaterThan(0);
    // A code is used up, and what was revoked is refused.
    expect(ended("redeem", "fail")).toBeGreaterThan(0);
    expect(ended("authenticate", "fail")).toBeGreaterThan(0);
    for (const what of ["event", "topic"])
      expect(
        named(operations, "use").some((use) => use.what === what),
        what,
      ).toBe(true);
    expect(named(operations, "close").some(({ dead }) => dead)).toBe(true);
  });

  it("of the same seed has the same faults, of another seed others", () => {
    const can = new Set(["cut", "delay", "pause", "rollback"] as const);
    const of = (seed: number) => scheduleOf(seed, { nodes: 3, can });
    expect(of(7)).toEqual(of(7));
    expect(new Set([1, 2, 3, 4, 5].map((seed) => JSON.stringify(of(seed).faults))).size).toBe(5);
  });
});
