import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type Numbered, NumberedList } from "../../src/connection/numbered-list.ts";

describe("a list by number", () => {
  it("holds what a sorted array would hold, while members come and go in any order", () => {
    const step = fc.record({ joins: fc.nat(1_200), leaves: fc.array(fc.nat(), { maxLength: 1_200 }) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), fc.nat(), (steps, from) => {
        const list = new NumberedList<Numbered>();
        const expected: Numbered[] = [];
        let last = 0;
        for (const { joins, leaves } of steps) {
          for (let count = 0; count < joins; count += 1) {
            last += 1 + (last % 3);
            const member = { number: last };
            list.add(member);
            expected.push(member);
          }
          for (const place of leaves) {
            const [gone] = expected.splice(place % Math.max(1, expected.length), 1);
            if (gone === undefined) break;
            expect([list.remove(gone), list.remove(gone)]).toEqual([true, false]);
          }
          const border = from % (last + 2);
          expect(list.all()).toEqual(expected);
          expect(list.size).toBe(expected.length);
          expect([...list.from(({ number }) => number > border)]).toEqual(
            expected.filter(({ number }) => number > border),
          );
        }
        // A twin with the same number is somebody else.
        const [first] = expected;
        if (first !== undefined) expect(list.remove({ ...first })).toBe(false);
      }),
      { numRuns: 60 },
    );
  });
});
