import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { StoreGuarantee } from "../../src/auth/store.ts";
import { createLog } from "../../src/observability/log.ts";
import { createRevocationBound } from "../../src/server/revocation-bound.ts";

const minute = 60_000;

describe("the bound of revocations", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function watched(answers: readonly (StoreGuarantee | Error)[]) {
    let asked = 0;
    const guarantee = async () => {
      const answer = answers[Math.min(asked, answers.length - 1)];
      asked += 1;
      if (answer === undefined || answer instanceof Error) throw answer;
      return answer;
    };
    const bound = createRevocationBound({ guarantee }, createLog({ level: "silent" }), 250);
    return { bound, asked: () => asked };
  }
  const told = (stalePrimaryWindowMs: number): StoreGuarantee => ({
    stalePrimaryWindowMs,
    detail: "",
    problems: [],
  });

  it("is checked again each minute while the store does not report it, then each hour", async () => {
    const { bound, asked } = watched([new Error("slow"), new Error("slow"), told(0), told(1_000)]);
    expect([bound.seconds(), bound.problems()]).toEqual([
      null,
      [expect.stringContaining("has not reported")],
    ]);
    await bound.start();
    expect([bound.seconds(), asked()]).toEqual([null, 1]);
    await vi.advanceTimersByTimeAsync(minute);
    expect([bound.seconds(), asked()]).toEqual([null, 2]);
    await vi.advanceTimersByTimeAsync(minute);
    expect([bound.seconds(), bound.problems(), asked()]).toEqual([3.25, [], 3]);
    await vi.advanceTimersByTimeAsync(59 * minute);
    expect(asked()).toBe(3);
    await vi.advanceTimersByTimeAsync(minute);
    expect([bound.seconds(), asked()]).toEqual([4.25, 4]);
    bound.stop();
    await vi.advanceTimersByTimeAsync(600 * minute);
    expect(asked()).toBe(4);
  });

  it("is not checked any more after a stop during a check", async () => {
    const { bound, asked } = watched([told(0)]);
    const starting = bound.start();
    bound.stop();
    await starting;
    await vi.advanceTimersByTimeAsync(600 * minute);
    expect(asked()).toBe(1);
  });

  it.each([
    [124, []],
    [126.5, [/takes 127 ms, and store_timeout_ms is 250: .*Set "store_timeout_ms: 508"/]],
    [1_200, [/store_timeout_ms is 250/, /takes 1200 ms: too long for a lease of 3 s/]],
  ])(
    "is reported as a problem if a round trip to the store of %s ms is too long",
    async (roundTripMs, problems) => {
      const { bound } = watched([{ ...told(0), roundTripMs }]);
      await bound.start();
      expect(bound.problems()).toEqual(problems.map((text) => expect.stringMatching(text)));
      bound.stop();
    },
  );
});
