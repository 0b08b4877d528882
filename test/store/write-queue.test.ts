import { setImmediate } from "node:timers/promises";

import { describe, expect, it, vi } from "vitest";

import { WriteQueue } from "../../src/store/embedded/write-queue.ts";

/** A queue whose transactions are kept: the numbers that each of them wrote. */
function recordingQueue({
  deadlineMs = 60_000,
  lock = async (): Promise<void> => undefined,
  flush = async (_nth: number): Promise<void> => undefined,
} = {}) {
  const transactions: unknown[][] = [];
  const queue = new WriteQueue({
    deadlineMs,
    transact: async (batch) => {
      await lock();
      const results = batch();
      await flush(transactions.push(results));
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

  it("go before others that wait if they take rights away, but not before the oldest", async () => {
    const { queue, transactions } = recordingQueue();
    const slow = (nth: number) => () => {
      holdLoop(10);
      return nth;
    };
    const commits = [1, 2, 3, 4].map((nth) => queue.run(slow(nth), { revokes: nth > 2 }));
    expect(await Promise.all(commits)).toEqual([1, 2, 3, 4]);
    expect(transactions).toEqual([[1], [3], [4], [2]]);
  });
});

describe("a commit whose deadline passes", () => {
  it("while it is put back is rejected and not written", async () => {
    const { queue, transactions } = recordingQueue({
      deadlineMs: 50,
      flush: async () => {
        await expect(second).rejects.toMatchObject({ code: "unavailable" });
      },
    });
    const first = queue.run(() => holdLoop(10));
    const second = queue.run(() => "second");
    await Promise.allSettled([first, second]);
    await vi.waitFor(async () => expect(await queue.run(() => "third")).toBe("third"));
    expect(transactions).toEqual([[undefined], ["third"]]);
  });

  it("while another process holds the lock is rejected and not written", async () => {
    const applied: string[] = [];
    const { queue } = recordingQueue({
      deadlineMs: 50,
      lock: async () => {
        if (applied.length === 0) await expect(first).rejects.toMatchObject({ code: "unavailable" });
      },
    });
    const first = queue.run(() => applied.push("first"));
    await first.catch(() => undefined);
    await vi.waitFor(() => queue.run(() => applied.push("second")));
    expect(applied).toEqual(["second"]);
  });

  it("behind others that are written does not make the disk one that does not answer", async () => {
    const { queue } = recordingQueue({ deadlineMs: 2_000, flush: () => setImmediate() });
    const slow = (nth: number) => () => {
      holdLoop(30);
      return nth;
    };
    const backlog = await Promise.allSettled(Array.from({ length: 100 }, (_, nth) => queue.run(slow(nth))));
    expect(backlog.map(({ status }) => status)).toContain("rejected");
    expect(queue.isStalled).toBe(false);
    expect(await queue.run(() => "next")).toBe("next");
  });
});
