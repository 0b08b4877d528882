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
  // Both kinds begin at the same moments, spread over a second, so that the process is equally busy for both.
  const spread = Array.from({ length: tries }, async (_, n) => {
    await pause((n * 1_000) / tries);
    return await Promise.all(n % 2 === 0 ? [times(1), times(60)] : [times(60), times(1)]);
  });
  const found = await Promise.all(spread);
  const fast = found.map(([one, two], n) => (n % 2 === 0 ? one : two));
  const slow = found.map(([one, two], n) => (n % 2 === 0 ? two : one));
  expect(Math.min(...fast, ...slow)).toBeGreaterThan(240);
  // Without the delay it is 1.
  expect(Math.abs(areaUnderCurve(fast, slow) - 0.5)).toBeLessThan(0.2);
});
