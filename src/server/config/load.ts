import { existsSync, readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { type Option, optionOf, optionOfVariable, options } from "./options.ts";
import { ConfigError, type Problem } from "./problems.ts";
import { type Config, type ConfigInput, environmentOnly } from "./schema.ts";
import { checkSchema } from "./schema-checks.ts";
import { checkSemantics } from "./semantic-checks.ts";
import { isOtherVariable, otherVariables, VARIABLE_PREFIX } from "./variables.ts";

export const DEFAULT_FILE = "gatehouse.yaml";

export interface ConfigSources {
  /** A YAML file that must exist. Without it `GATEHOUSE_CONFIG`, then `./gatehouse.yaml` if it exists. */
  readonly file?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** By option key (`port`, `tokens.audience`). Undefined means not given. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

type Given = Map<string, { readonly value: unknown; readonly source: string }>;

/**
 * Merges flags over environment over file over defaults into one validated frozen object. Throws `ConfigError` with
 * every problem at once. No problem's text holds a value.
 */
export function loadConfig(sources: ConfigSources = {}): Config {
  const problems: Problem[] = [];
  const given: Given = new Map();
  readFile(sources, given, problems);
  readEnvironment(sources.env ?? {}, given, problems);
  readFlags(sources.flags ?? {}, given, problems);
  return assemble(given, problems);
}

/** The configuration of a program that embeds the gateway: the given options over the defaults. */
export function defineConfig(input: ConfigInput = {}): Config {
  const problems: Problem[] = [];
  const given: Given = new Map();
  flatten(input, [], "code", given, problems);
  return assemble(given, problems);
}

function assemble(given: Given, problems: Problem[]): Config {
  const tree: Record<string, unknown> = {};
  for (const option of options)
    place(tree, option.path, given.get(option.key)?.value ?? fallbackOf(option, given));
  const sourceOf = (key: string) => given.get(key)?.source ?? "default";
  const config = problems.length === 0 ? checkSchema(tree, sourceOf, problems) : undefined;
  if (config !== undefined) checkSemantics(config, sourceOf, problems);
  if (config === undefined || problems.length > 0) throw new ConfigError(problems);
  return freeze(config);
}

/** An explicit null stays null. Only an option that was not given gets the default. */
function fallbackOf(option: Option, given: Given): unknown {
  return given.has(option.key) ? null : structuredClone(option.fallback);
}

/** Sets a value in a tree of options, at its option's path. */
export function place(tree: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name = "", ...rest] = path;
  if (rest.length === 0) {
    tree[name] = value;
    return;
  }
  const child = (tree[name] ?? {}) as Record<string, unknown>;
  tree[name] = child;
  place(child, rest, value);
}

function readFile(sources: ConfigSources, given: Given, problems: Problem[]): void {
  const named = sources.file ?? sources.env?.[otherVariables.config];
  if (named === undefined && !existsSync(DEFAULT_FILE)) return;
  const file = named ?? DEFAULT_FILE;
  const tree = parseFile(file, problems);
  if (tree === undefined || tree === null) return;
  if (!isMapping(tree)) {
    problems.push({ key: "", source: file, message: "must be a mapping of options" });
    return;
  }
  const before = problems.length;
  flatten(tree, [], file, given, problems);
  for (const key of environmentOnly) {
    if (!given.delete(key) || problems.length > before) continue;
    const variable = optionOf(key)?.variable;
    problems.push({ key, source: file, message: `is a secret: set ${variable} or secret_file instead` });
  }
}

function parseFile(file: string, problems: Problem[]): unknown {
  try {
    const document = parseDocument(readFileSync(file, "utf8"), { uniqueKeys: true, prettyErrors: false });
    const [error] = document.errors;
    if (error === undefined) return document.toJS({ maxAliasCount: 20 });
    const line = error.pos[0];
    problems.push({ key: "", source: file, message: `is not valid YAML (${error.code} at offset ${line})` });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "too many aliases";
    problems.push({ key: "", source: file, message: `cannot be read (${code})` });
  }
  return undefined;
}

function flatten(
  tree: object,
  path: readonly string[],
  source: string,
  given: Given,
  problems: Problem[],
): void {
  for (const [name, value] of Object.entries(tree)) {
    if (value === undefined) continue;
    const here = [...path, name];
    const key = here.join(".");
    const isGroup = options.some((option) => option.key.startsWith(`${key}.`));
    if (isGroup && isMapping(value)) flatten(value, here, source, given, problems);
    else if (isGroup) problems.push({ key, source, message: "must be a mapping of options" });
    else if (optionOf(key) === undefined) problems.push({ key, source, message: "is not an option" });
    else given.set(key, { value, source });
  }
}

function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  given: Given,
  problems: Problem[],
): void {
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(VARIABLE_PREFIX) || text === undefined || isOtherVariable(variable)) continue;
    const option = optionOfVariable(variable);
    if (option === undefined)
      problems.push({ key: variable, source: "environment", message: "is not an option" });
    else given.set(option.key, { value: fromText(option, text), source: variable });
  }
}

function readFlags(flags: Readonly<Record<string, unknown>>, given: Given, problems: Problem[]): void {
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    const option = optionOf(key);
    const source = `--${key}`;
    if (option === undefined) problems.push({ key, source, message: "is not an option" });
    else if (environmentOnly.has(key))
      problems.push({ key, source, message: `is a secret: set ${option.variable} instead` });
    else given.set(key, { value: typeof value === "string" ? fromText(option, value) : value, source });
  }
}

/** Text that cannot be parsed as the option's type stays text, and the schema check reports what was expected. */
function fromText(option: Option, text: string): unknown {
  if (option.nullable && text === "") return null;
  if (option.kind === "integer" && /^-?[0-9]{1,15}$/.test(text)) return Number(text);
  if (option.kind === "boolean" && (text === "true" || text === "false")) return text === "true";
  if (option.kind === "entries") return fromJson(text);
  if (option.kind === "list") {
    if (isLikeJson(text)) return fromJson(text);
    return text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "");
  }
  return text;
}

/** No entry of a list begins like this, so what does is JSON, or meant to be. */
function isLikeJson(text: string): boolean {
  return text.trimStart().startsWith("[");
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function isMapping(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const child of Object.values(value)) freeze(child);
    Object.freeze(value);
  }
  return value;
}
