import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { KeyIndex } from "../../src/connection/key-index.ts";
import { noSlot, SlotSet, type Slotted } from "../../src/connection/slots.ts";

interface Named extends Slotted {
  readonly name: string;
  readonly key: string;
}

function setUp() {
  const slots = new SlotSet<Named>();
  const index = new KeyIndex((slot) => slots.at(slot).key);
  return {
    slots,
    index,
    enter(name: string, key: string): Named {
      const member: Named = { slot: noSlot, name, key };
      slots.add(member);
      index.add(member.slot);
      return member;
    },
    leave(member: Named): void {
      index.remove(member.slot);
      slots.delete(member);
    },
    namesOf: (key: string) => index.of(key).map((slot) => slots.at(slot).name),
  };
}

describe("an index of slots", () => {
  it("finds the members of a key in the order in which they came, and nobody else's", () => {
    const { enter, namesOf, index } = setUp();
    enter("a", "k1");
    enter("b", "k2");
    enter("c", "k1");
    enter("d", "k1");
    expect(namesOf("k1")).toEqual(["a", "c", "d"]);
    expect(namesOf("k2")).toEqual(["b"]);
    expect(namesOf("k3")).toEqual([]);
    expect([index.keys, index.has("k2"), index.has("k3")]).toEqual([2, true, false]);
  });

  it("keeps a key until its last member leaves, whoever leaves first", () => {
    const { enter, leave, namesOf, index } = setUp();
    const [a, b, c] = [enter("a", "k"), enter("b", "k"), enter("c", "k")];
    leave(a);
    expect(namesOf("k")).toEqual(["b", "c"]);
    leave(c);
    leave(b);
    expect([index.keys, index.has("k"), namesOf("k")]).toEqual([0, false, []]);
  });

  it("says what a map of lists says, through collisions, growth and slots that are used again", () => {
    const step = fc.record({ enter: fc.boolean(), nth: fc.nat(), key: fc.nat(199) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600, size: "max" }), (steps) => {
        const { enter, leave, namesOf, index, slots } = setUp();
        const present: Named[] = [];
        for (const [at, { enter: enters, nth, key }] of steps.entries()) {
          // Half of the keys end alike and share one bucket.
          const text = key < 100 ? `${key} same end` : `key ${key}`;
          if (enters || present.length === 0) present.push(enter(`m${at}`, text));
          else for (const gone of present.splice(nth % present.length, 1)) leave(gone);
          const alike = present.filter((member) => member.key === text).map(({ name }) => name);
          expect([...namesOf(text)].sort()).toEqual(alike.sort());
        }
        expect(index.keys).toBe(new Set(present.map((member) => member.key)).size);
        expect(slots.size).toBe(present.length);
      }),
    );
  });
});
