import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";

/** Says what is wrong with a value, or nothing. */
export type Shape = (value: unknown) => string | undefined;

interface Problem {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: object;
}

/**
 * A schema, compiled once. The text names the field of the schema and what is wrong with it, and never repeats what
 * was sent: no values, and no keys that the schema does not have.
 */
export function compileShape(schema: TSchema): Shape {
  const compiled = Compile(schema);
  const known = new Set(Object.keys((schema as { properties?: object }).properties ?? {}));
  return (value) => (compiled.Check(value) ? undefined : explain(compiled.Errors(value), known));
}

function explain(problems: readonly Problem[], known: ReadonlySet<string>): string {
  if (problems.some((problem) => problem.keyword === "additionalProperties" && problem.instancePath === ""))
    return "extra keys not allowed";
  const [first] = problems;
  if (first === undefined) return "does not fit";
  if (first.instancePath === "" && first.keyword === "required") return requiredText(first.params);
  const field = first.instancePath.split("/")[1] ?? "";
  if (!known.has(field)) return "expected an object";
  return `${field}: ${textOf(first)}`;
}

function requiredText(params: object): string {
  const missing = (params as { requiredProperties?: readonly string[] }).requiredProperties ?? [];
  return `required key not provided: ${missing.join(", ")}`;
}

function textOf(problem: Problem): string {
  if (problem.keyword === "boolean" || problem.keyword === "additionalProperties")
    return "extra keys not allowed";
  if (problem.keyword === "const" || problem.keyword === "anyOf") return "is not one of what is allowed";
  return problem.message;
}
