import { describe, expect, it } from "vitest";

import { WriteQueue } from "../../src/store/embedded/write-queue.ts";

/** A queue whose transactions are kept: the numbers that each of them wrote. */
function recordingQueue() {
  const transactions: unknown[][] = [];
  const queue = new WriteQueue({
    deadlineMs: 60_000,
    transact: async (batch) => {
      const results = batch();
      transactions.push(results);
      return results;
    },
    isNearlyFull: () => false,
    onDurable: () => undefined,
    recover: async () => undefined,
  });
  return { queue, transactions };
}

function holdLoop(ms: number): void {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt);
}

describe("commits of one moment", () => {
  it("go into one transaction", async () => {
    // More than once: a busy machine may take the time away in which one transaction gathers them.
    const together: boolean[] = [];
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const { queue, transactions } = recordingQueue();
      expect(await Promise.all([1, 2, 3].map((nth) => queue.run(() => nth)))).toEqual([1, 2, 3]);
      together.push(transactions.length === 1);
    }
    expect(together).toContain(true);
  });

  it("go into several, in order, if they take long to apply", async () => {
    const { queue, transactions } = recordingQueue();
    const slow = (nth: number) => () => {
      holdLoop(10);
      return nth;
    };
    const written = await Promise.all([1, 2, 3, 4].map((nth) => queue.run(slow(nth))));
    expect(written).toEqual([1, 2, 3, 4]);
    expect(transactions).toEqual([[1], [2], [3], [4]]);
  });
});
