import { describe, expect, it } from "vitest";

import { KeyIndex } from "../../src/connection/key-index.ts";

describe("an index by key", () => {
  it("finds the members of a key in the order in which they came, and nobody else's", () => {
    const index = new KeyIndex<string>();
    for (const [member, key] of [
      ["a", "k1"],
      ["b", "k2"],
      ["c", "k1"],
    ] as const)
      index.add(key, member);
    expect([index.of("k1"), index.of("k2"), index.of("k3")]).toEqual([["a", "c"], ["b"], []]);
    expect([index.keys, index.has("k2"), index.has("k3"), index.size("k1")]).toEqual([2, true, false, 2]);
  });

  it("keeps a key until its last member leaves, whoever leaves first", () => {
    const index = new KeyIndex<string>();
    for (const member of ["a", "b"]) index.add("k", member);
    index.remove("k", "a");
    index.remove("k", "a");
    expect(index.of("k")).toEqual(["b"]);
    index.remove("k", "b");
    expect([index.keys, index.has("k"), index.of("k")]).toEqual([0, false, []]);
  });
});
