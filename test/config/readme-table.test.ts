import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";

import { configMarkdown, withConfigTable } from "../../src/server/config/markdown.ts";
import { options } from "../../src/server/config/options.ts";

const readme = readFileSync(path.resolve(import.meta.dirname, "../../README.md"), "utf8");

it("the README's table is the schema's", () => {
  expect(withConfigTable(readme)).toBe(readme);
});

it("the table has one row an option", () => {
  expect(configMarkdown().split("\n")).toHaveLength(options.length + 2);
});

it("a text without markers has no table", () => {
  expect(withConfigTable("# Gatehouse")).toBeUndefined();
  expect(withConfigTable("<!-- configuration:end --><!-- configuration:begin -->")).toBeUndefined();
});
