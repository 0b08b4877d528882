import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";

import { providerTypes } from "../../src/auth/providers/provider-types.ts";
import {
  configMarkdown,
  providersMarkdown,
  withConfigTable,
  withTables,
} from "../../src/server/config/markdown.ts";
import { options, optionsOfEntry } from "../../src/server/config/options.ts";

const readme = readFileSync(path.resolve(import.meta.dirname, "../../README.md"), "utf8");

it("the README's tables are the schemas'", () => {
  expect(withTables(readme)).toBe(readme);
});

it("every option of a provider has a row that says what it does", () => {
  const shown = providersMarkdown();
  for (const [type, { entry }] of Object.entries(providerTypes)) {
    for (const { key, option } of optionsOfEntry(entry)) {
      if (key === "type") continue;
      expect(option.description, `${type}.${key}`).not.toBe("");
      if (key !== "id" && key !== "name") expect(shown).toContain(`| \`${type}\` | \`${key}\` |`);
    }
  }
});

it("the table has one row an option", () => {
  expect(configMarkdown().split("\n")).toHaveLength(options.length + 2);
});

it("a text without markers has no table", () => {
  expect(withConfigTable("# Gatehouse")).toBeUndefined();
  expect(withTables(withConfigTable(readme)?.replace("providers:begin", "") ?? "")).toBeUndefined();
  expect(withConfigTable("<!-- configuration:end --><!-- configuration:begin -->")).toBeUndefined();
});
