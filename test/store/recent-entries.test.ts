import { describe, expect, it } from "vitest";

import { RecentEntries } from "../../src/store/redis/recent-entries.ts";

describe("the recently delivered entries of a log", () => {
  const seconds = (count: number) => count * 1_000;
  const add = (passed: RecentEntries, name: string, count: number, now: number) => {
    for (let n = 0; n < count; n += 1) passed.add(`${name}-${n}`, name, now);
  };

  it("are matched by position and content", () => {
    const passed = new RecentEntries();
    add(passed, "a", 1, 0);
    expect([passed.has("a-0", "a"), passed.has("a-0", "b"), passed.has("a-1", "a")]).toEqual([
      true,
      false,
      false,
    ]);
    passed.clear();
    expect([passed.has("a-0", "a"), passed.size]).toEqual([false, 0]);
  });

  it("are remembered for a minute at least, and not for three", () => {
    const passed = new RecentEntries();
    add(passed, "a", 600, 0);
    add(passed, "b", 600, seconds(59));
    add(passed, "c", 600, seconds(61));
    expect([passed.has("a-0", "a"), passed.has("b-0", "b")]).toEqual([true, true]);
    add(passed, "d", 600, seconds(122));
    expect([passed.has("a-0", "a"), passed.has("b-0", "b"), passed.has("c-0", "c")]).toEqual([
      false,
      false,
      true,
    ]);
    expect(passed.size).toBe(1_200);
  });

  it("are remembered at any age while they are few", () => {
    const passed = new RecentEntries();
    for (let n = 0; n < 400; n += 1) passed.add(`a-${n}`, "a", seconds(61 * n));
    expect(passed.has("a-0", "a")).toBe(true);
  });

  it("are bounded in any case", () => {
    const passed = new RecentEntries();
    add(passed, "a", 50_000, 0);
    expect(passed.size).toBeLessThanOrEqual(20_000);
    expect(passed.has("a-49999", "a")).toBe(true);
    expect(passed.has("a-40000", "a")).toBe(true);
  });
});
