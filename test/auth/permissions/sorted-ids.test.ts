import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { SortedIds } from "../../../src/auth/permissions/sorted-ids.ts";

describe("sorted ids", () => {
  it("give the pages that sorting all of them gives, whatever comes and goes", () => {
    const step = fc.record({ from: fc.nat(300), count: fc.nat(100), pages: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.string({ maxLength: 3 }), (steps, text) => {
        const ids = new SortedIds();
        const model = new Set<string>();
        for (const { from, count, pages } of steps) {
          for (let n = from; n < from + count; n += 1) {
            const id = String(n);
            if (model.delete(id)) ids.delete(id);
            else {
              model.add(id);
              ids.add(id);
            }
          }
          const sorted = [...model].sort((a, b) => (a < b ? -1 : 1));
          if (!pages) continue;
          expect(ids.page(undefined, 1_000)).toEqual(sorted);
          for (const after of [text, String(from)])
            expect(ids.page(after, 7)).toEqual(sorted.filter((id) => id > after).slice(0, 7));
        }
      }),
      { numRuns: 100 },
    );
  });
});
