import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";

import { factorTypes } from "../../src/auth/factors/factor-types.ts";
import { providerTypes } from "../../src/auth/providers/provider-types.ts";
import {
  configMarkdown,
  factorsMarkdown,
  providersMarkdown,
  withConfigTable,
  withFactorsTable,
  withProvidersTable,
} from "../../src/server/config/markdown.ts";
import { options, optionsOfEntry } from "../../src/server/config/options.ts";

const page = (name: string) => readFileSync(path.resolve(import.meta.dirname, "../..", name), "utf8");
const configuration = page(".deploy/configuration.md");
const providers = page("src/auth/providers/README.md");
const factors = page("src/auth/factors/README.md");

it("the tables are the schemas' (npm run docs writes them)", () => {
  expect(withConfigTable(configuration)).toBe(configuration);
  expect(withProvidersTable(providers)).toBe(providers);
  expect(withFactorsTable(factors)).toBe(factors);
});

it.each([
  { what: "a provider", types: providerTypes, shown: providersMarkdown() },
  { what: "a second factor", types: factorTypes, shown: factorsMarkdown() },
])("every option of $what has a row that says what it does", ({ types, shown }) => {
  for (const [type, { entry }] of Object.entries(types)) {
    for (const { key, option } of optionsOfEntry(entry)) {
      if (key === "type") continue;
      expect(option.description, `${type}.${key}`).not.toBe("");
      if (key !== "id" && key !== "name") expect(shown).toContain(`| \`${type}\` | \`${key}\` |`);
    }
  }
});

const named = { ...providerTypes, ...factorTypes };
/** Names of what is not secret: a path, or words about one. */
const notSecret = /_file$|^(keys|token_endpoint_auth_method|tokens?_.*)$/;

it.each(Object.keys(named))("options of %s whose names are those of secrets are masked", (type) => {
  const { properties } = named[type as keyof typeof named].entry as { readonly properties: object };
  const unmasked = Object.entries(properties).filter(
    ([name, schema]: [string, { readonly writeOnly?: boolean; readonly file?: unknown }]) =>
      /secret|password|passphrase|pin$|token|credential|(^|_)key$/.test(name) &&
      schema.writeOnly !== true &&
      schema.file === undefined &&
      !notSecret.test(name),
  );
  expect(unmasked.map(([name]) => name)).toEqual([]);
});

it("every type of provider is told of where people look", () => {
  const places = {
    "README.md": page("README.md"),
    "src/auth/providers/README.md": providers,
    "protocol/login.md": page("protocol/login.md"),
  };
  // The form of a module is its own.
  for (const [place, text] of Object.entries(places))
    for (const type of Object.keys(providerTypes).filter(
      (each) => place !== "protocol/login.md" || each !== "module",
    ))
      expect(text, `${place}: ${type}`).toContain(`\`${type}\``);
});

it("the table has one row an option", () => {
  expect(configMarkdown().split("\n")).toHaveLength(options.length + 2);
});

it("a text without markers has no table", () => {
  expect(withConfigTable("# Gatehouse")).toBeUndefined();
  expect(withProvidersTable("# Login providers")).toBeUndefined();
  expect(withFactorsTable("# Second factors")).toBeUndefined();
  expect(withConfigTable("<!-- configuration:end --><!-- configuration:begin -->")).toBeUndefined();
});
