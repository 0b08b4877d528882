import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { noSlot, SlotSet } from "../../src/connection/slots.ts";

describe("slots", () => {
  it("holds what a Set of the same members holds, whatever comes and goes", () => {
    const step = fc.record({ add: fc.boolean(), nth: fc.integer({ min: 0, max: 9 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const members = Array.from({ length: 10 }, () => ({ slot: noSlot }));
        const slots = new SlotSet<{ slot: number }>();
        const set = new Set<{ slot: number }>();
        for (const { add, nth } of steps) {
          const member = members[nth] ?? { slot: noSlot };
          if (add) {
            slots.add(member);
            set.add(member);
          } else expect(slots.delete(member)).toBe(set.delete(member));
          expect(slots.size).toBe(set.size);
          expect(new Set(slots.all())).toEqual(set);
          for (const other of members) expect(slots.has(other)).toBe(set.has(other));
        }
      }),
    );
  });

  it("may be left by everybody while it is walked", () => {
    const slots = new SlotSet<{ slot: number }>();
    for (let nth = 0; nth < 5; nth += 1) slots.add({ slot: noSlot });
    for (const member of slots.all()) slots.delete(member);
    expect(slots.size).toBe(0);
  });

  it("gives a slot to the next one only after its owner left", () => {
    const slots = new SlotSet<{ slot: number }>();
    const [a, b, c] = [{ slot: noSlot }, { slot: noSlot }, { slot: noSlot }];
    expect([slots.add(a), slots.add(a), slots.add(b)]).toEqual([true, false, true]);
    const { slot } = a;
    const others = b.slot;
    expect([slots.delete(a), slots.delete(a), a.slot, b.slot]).toEqual([true, false, noSlot, others]);
    expect(() => slots.at(slot)).toThrow(RangeError);
    slots.add(c);
    expect([c.slot, slots.at(slot), slots.size]).toEqual([slot, c, 2]);
  });
});
