import { describe, expect, it } from "vitest";

import { commitsInTurns } from "../../../src/auth/scheduling/commits-in-turns.ts";
import { LoopTurns } from "../../../src/auth/scheduling/loop-turns.ts";
import type { CommitOutcome, Store } from "../../../src/auth/store.ts";

/** Answers all its commits at once, as a store does that writes them together. */
function answeringTogether() {
  const waiting: {
    readonly resolve: (outcome: CommitOutcome) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  const store = {
    commit: () => new Promise((resolve, reject) => waiting.push({ resolve, reject })),
  } as unknown as Store;
  return { store, waiting };
}

/** Every turn is over as soon as it has begun, so each caller continues in an iteration of its own. */
const shortest = () => new LoopTurns(0);
const outcome = { ok: true, version: 1 } as unknown as CommitOutcome;

/** Iterations of the event loop while this is open. */
function iterations() {
  let count = 0;
  let counts = true;
  const next = () => {
    count += 1;
    if (counts) setImmediate(next);
  };
  setImmediate(next);
  return {
    get count() {
      return count;
    },
    end() {
      counts = false;
    },
  };
}

describe("commits that are answered together", () => {
  for (const kind of ["answered", "rejected"] as const)
    it(`let the event loop run between their callers, in order, if they are ${kind}`, async () => {
      const { store, waiting } = answeringTogether();
      const commits = commitsInTurns(store, shortest());
      const order: number[] = [];
      const loop = iterations();
      const callers = Array.from({ length: 50 }, async (_, at) => {
        await commits.commit({}).then(
          (result) => expect([kind, result]).toEqual(["answered", outcome]),
          (error: Error) => expect([kind, error.message]).toEqual(["rejected", "the disk is full"]),
        );
        order.push(at);
      });
      for (const { resolve, reject } of waiting)
        if (kind === "answered") resolve(outcome);
        else reject(new Error("the disk is full"));
      await Promise.all(callers);
      loop.end();
      expect(order).toEqual(Array.from({ length: 50 }, (_, at) => at));
      expect(loop.count).toBeGreaterThanOrEqual(48);
    });

  it("share an iteration while its time lasts", async () => {
    const { store, waiting } = answeringTogether();
    const commits = commitsInTurns(store, new LoopTurns(Number.POSITIVE_INFINITY));
    const loop = iterations();
    const callers = Array.from({ length: 50 }, () => commits.commit({}));
    for (const { resolve } of waiting) resolve(outcome);
    await Promise.all(callers);
    loop.end();
    expect(loop.count).toBeLessThan(3);
  });
});
