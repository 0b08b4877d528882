import { describe, expect, it } from "vitest";

import { KeyIndex } from "../../src/connection/key-index.ts";
import type { Numbered } from "../../src/connection/numbered-list.ts";

const [one, two, three] = [{ number: 1 }, { number: 2 }, { number: 3 }];

describe("an index by key", () => {
  it("finds the members of a key in the order in which they came, and nobody else's", () => {
    const index = new KeyIndex<Numbered>();
    index.add("k1", one);
    index.add("k2", two);
    index.add("k1", three);
    expect([index.of("k1"), index.of("k2"), index.of("k3")]).toEqual([[one, three], [two], []]);
    expect([index.keys, index.has("k2"), index.has("k3"), index.size("k1")]).toEqual([2, true, false, 2]);
  });

  it("keeps a key until its last member leaves, whoever leaves first", () => {
    const index = new KeyIndex<Numbered>();
    for (const member of [one, two]) index.add("k", member);
    index.remove("k", one);
    index.remove("k", one);
    expect(index.of("k")).toEqual([two]);
    index.remove("k", two);
    expect([index.keys, index.has("k"), index.of("k")]).toEqual([0, false, []]);
  });
});
