import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { EndingFirst } from "../../src/topics/ending-first.ts";

describe("what ends first", () => {
  it("is what a search of all finds, whatever comes and goes", () => {
    const step = fc.record({ endsAt: fc.nat(20), deletes: fc.option(fc.nat(200), { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: "max" }), (steps) => {
        const ending = new EndingFirst<{ readonly endsAt: number }>();
        let model: { readonly endsAt: number }[] = [];
        for (const { endsAt, deletes } of steps) {
          if (deletes === undefined) {
            const item = { endsAt };
            model.push(item);
            ending.add(item);
          } else {
            const gone = model[deletes % (model.length || 1)] ?? { endsAt: 0 };
            model = model.filter((item) => item !== gone);
            ending.delete(gone);
          }
          const least = Math.min(...model.map((item) => item.endsAt));
          expect(ending.first()).toBe(model.find((item) => item.endsAt === least));
          expect(ending.size).toBe(model.length);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("comes in order if the first one is taken again and again, and each is replaced many times", () => {
    const ending = new EndingFirst<{ readonly endsAt: number }>();
    const latest = new Map<number, { readonly endsAt: number }>();
    for (let n = 0; n < 2_000; n += 1) {
      const before = latest.get(n % 50);
      if (before !== undefined) ending.delete(before);
      const item = { endsAt: (n * 7_919) % 1_000 };
      latest.set(n % 50, item);
      ending.add(item);
    }
    const taken: number[] = [];
    for (let first = ending.first(); first !== undefined; first = ending.first()) {
      taken.push(first.endsAt);
      ending.delete(first);
    }
    expect(taken).toEqual([...latest.values()].map(({ endsAt }) => endsAt).sort((a, b) => a - b));
  });
});
