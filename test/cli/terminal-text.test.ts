import { describe, expect, it } from "vitest";

import { table } from "../../src/cli/output.ts";
import { columns } from "../../src/cli/terminal-text.ts";

describe("columns", () => {
  it.each([
    ["abc", 3],
    ["e\u0301", 1],
    ["日本語", 6],
    ["한국", 4],
    ["ＡＢ", 4],
    ["👩‍👩‍👧", 2],
    ["\u200b", 0],
    ["", 0],
  ])("of %j are %i", (text, count) => expect(columns(text)).toBe(count));
});

it("aligns text after wide characters", () => {
  expect(
    table(
      ["NAME", "X"],
      [
        ["日本", "1"],
        ["a", "2"],
      ],
    ).split("\n"),
  ).toEqual(["NAME  X", "日本  1", "a     2"]);
});
