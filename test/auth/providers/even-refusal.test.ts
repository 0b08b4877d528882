import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";

import { evenRefusal } from "../../../src/auth/providers/even-refusal.ts";

const tries = 300;

/** Times of refusals that a backend took `backendMs` for, beside those of another. */
async function times(backendMs: number): Promise<number> {
  const startedAt = performance.now();
  await pause(backendMs);
  expect(await evenRefusal(startedAt, "no")).toBe("no");
  return performance.now() - startedAt;
}

/** How well a time tells which of the two it is: 0.5 is not at all. */
function areaUnderCurve(one: readonly number[], two: readonly number[]): number {
  const wins = one.map((a) => two.filter((b) => a < b).length + two.filter((b) => a === b).length / 2);
  return wins.reduce((sum, each) => sum + each, 0) / (one.length * two.length);
}

it("a refusal's time does not tell how long the backend took", async () => {
  const both = Array.from({ length: tries }, async () => [await times(1), await times(60)] as const);
  const found = await Promise.all(both);
  const [fast, slow] = [found.map(([each]) => each), found.map(([, each]) => each)];
  expect(Math.min(...fast, ...slow)).toBeGreaterThan(240);
  // Without the delay it is 1.
  expect(Math.abs(areaUnderCurve(fast, slow) - 0.5)).toBeLessThan(0.2);
});
