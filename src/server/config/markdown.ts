import { factorTypes } from "../../auth/factors/factor-types.ts";
import { providerTypes } from "../../auth/providers/provider-types.ts";
import { type Option, options, optionsOfEntry } from "./options.ts";

export const TABLE_BEGIN = "<!-- configuration:begin -->";
export const TABLE_END = "<!-- configuration:end -->";

/** The table of all options. */
export function configMarkdown(): string {
  const head = row(["option", "environment", "default", "allowed", "what it does"]);
  return [head, "| --- | --- | --- | --- | --- |", ...options.map(rowOf)].join("\n");
}

export const PROVIDERS_BEGIN = "<!-- providers:begin -->";
export const PROVIDERS_END = "<!-- providers:end -->";

export const FACTORS_BEGIN = "<!-- factors:begin -->";
export const FACTORS_END = "<!-- factors:end -->";

/** The table of the options of each type of provider. */
export function providersMarkdown(): string {
  return entriesMarkdown(providerTypes);
}

/** The same of second factors. */
export function factorsMarkdown(): string {
  return entriesMarkdown(factorTypes);
}

function entriesMarkdown(types: typeof providerTypes | typeof factorTypes): string {
  const rows = Object.entries(types).flatMap(([type, { entry }]) =>
    optionsOfEntry(entry)
      .filter(({ key }) => !common.has(key))
      .map(({ key, isRequired, option }) => {
        const fallback = isRequired ? "required" : defaultText(option.fallback);
        return row([`\`${type}\``, `\`${key}\``, fallback, option.brief, option.description]);
      }),
  );
  const head = row(["type", "option", "default", "allowed", "what it does"]);
  return [head, "| --- | --- | --- | --- | --- |", ...rows].join("\n");
}

/** Of every type; described with `auth_providers` and `auth_mfa_modules`. */
const common: ReadonlySet<string> = new Set(["type", "id", "name"]);

/** The page of the providers with the current table between the markers; undefined if the markers are missing. */
export function withProvidersTable(page: string): string | undefined {
  return between(page, [PROVIDERS_BEGIN, PROVIDERS_END], providersMarkdown());
}

/** The same for the page of second factors. */
export function withFactorsTable(page: string): string | undefined {
  return between(page, [FACTORS_BEGIN, FACTORS_END], factorsMarkdown());
}

/** The page of the configuration, the same. */
export function withConfigTable(page: string): string | undefined {
  return between(page, [TABLE_BEGIN, TABLE_END], configMarkdown());
}

function between(text: string, [first, last]: readonly [string, string], table: string): string | undefined {
  const begin = text.indexOf(first);
  const end = text.indexOf(last);
  if (begin === -1 || end < begin) return undefined;
  return `${text.slice(0, begin + first.length)}\n\n${table}\n\n${text.slice(end)}`;
}

function rowOf(option: Option): string {
  const { key, variable, fallback, description } = option;
  return row([`\`${key}\``, `\`${variable}\``, defaultText(fallback), option.brief, description]);
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function defaultText(value: unknown): string {
  if (value === null || value === undefined) return "none";
  if (typeof value === "object" && (!Array.isArray(value) || typeof value[0] === "object"))
    return `\`${JSON.stringify(value)}\``;
  return `\`${Array.isArray(value) ? `[${value.join(", ")}]` : String(value)}\``;
}
