import type { Static } from "typebox";
import { Compile } from "typebox/compile";

import { optionOf } from "./options.ts";
import type { Problem } from "./problems.ts";
import { entriesProblem } from "./provider-checks.ts";
import { ConfigSchema } from "./schema.ts";

const validator = Compile(ConfigSchema);

/** The tree as a configuration, or undefined and one problem for each option that violates its schema. */
export function checkSchema(
  tree: unknown,
  sourceOf: (key: string) => string,
  problems: Problem[],
): Static<typeof ConfigSchema> | undefined {
  if (validator.Check(tree)) return tree;
  const seen = new Set<string>();
  for (const error of validator.Errors(tree)) {
    const key = keyAt(error.instancePath);
    const option = optionOf(key);
    if (option === undefined || seen.has(key)) continue;
    seen.add(key);
    const value = valueAt(tree, option.path);
    const message = entriesProblem(option.key, value);
    const hint = option.kind === "list" && isBrokenJson(value) ? brokenListHint : "";
    const usual = `must be ${option.allowed}, got ${kindOfValue(value)}${hint}`;
    problems.push({ key, source: sourceOf(key), message: message ?? usual });
  }
  return undefined;
}

const brokenListHint = " that is no JSON: separate the entries by commas, without brackets and quotes";

function isBrokenJson(value: unknown): boolean {
  return typeof value === "string" && value.trimStart().startsWith("[");
}

/** `/tokens/rotate_for/3` belongs to the option `tokens.rotate_for`. */
function keyAt(instancePath: string): string {
  const parts = instancePath.split("/").slice(1);
  while (parts.length > 0 && optionOf(parts.join(".")) === undefined) parts.pop();
  return parts.join(".");
}

function valueAt(tree: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], tree);
}

/** The type of a value in words: all that a message may say about a possible secret. */
function kindOfValue(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "string") return `a string of ${value.length} characters`;
  if (typeof value === "object") return "a mapping";
  if (typeof value === "number")
    return Number.isInteger(value) ? "an integer outside that range" : "a number";
  return `a ${typeof value}`;
}
