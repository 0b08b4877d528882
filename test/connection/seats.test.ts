import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { noSeat, Seats } from "../../src/connection/seats.ts";

describe("seats", () => {
  it("holds what a Set of the same members holds, whatever comes and goes", () => {
    const step = fc.record({ add: fc.boolean(), nth: fc.integer({ min: 0, max: 9 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const members = Array.from({ length: 10 }, () => ({ seat: noSeat }));
        const seats = new Seats<{ seat: number }>();
        const set = new Set<{ seat: number }>();
        for (const { add, nth } of steps) {
          const member = members[nth] ?? { seat: noSeat };
          if (add) {
            seats.add(member);
            set.add(member);
          } else expect(seats.delete(member)).toBe(set.delete(member));
          expect(seats.size).toBe(set.size);
          expect(new Set(seats.all())).toEqual(set);
          for (const other of members) expect(seats.has(other)).toBe(set.has(other));
        }
      }),
    );
  });

  it("may be left by everybody while it is walked", () => {
    const seats = new Seats<{ seat: number }>();
    for (let nth = 0; nth < 5; nth += 1) seats.add({ seat: noSeat });
    for (const member of seats.all()) seats.delete(member);
    expect(seats.size).toBe(0);
  });

  it("gives a seat to the next one only after its owner left", () => {
    const seats = new Seats<{ seat: number }>();
    const [a, b, c] = [{ seat: noSeat }, { seat: noSeat }, { seat: noSeat }];
    expect([seats.add(a), seats.add(a), seats.add(b)]).toEqual([true, false, true]);
    const { seat } = a;
    const others = b.seat;
    expect([seats.delete(a), seats.delete(a), a.seat, b.seat]).toEqual([true, false, noSeat, others]);
    expect(() => seats.at(seat)).toThrow(RangeError);
    seats.add(c);
    expect([c.seat, seats.at(seat), seats.size]).toEqual([seat, c, 2]);
  });
});
