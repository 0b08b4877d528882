import type { TSchema } from "typebox";

import { ConfigSchema } from "./schema.ts";
import { VARIABLE_PREFIX } from "./variables.ts";

/** One option, as the schema describes it. */
export interface Option {
  /** Its path in the file: `password.min_length`. */
  readonly key: string;
  readonly path: readonly string[];
  /** Its environment variable: `GATEHOUSE_PASSWORD_MIN_LENGTH`. */
  readonly variable: string;
  readonly kind: OptionKind;
  readonly nullable: boolean;
  readonly fallback: unknown;
  readonly description: string;
  /** The allowed values, in words. */
  readonly allowed: string;
  /** The same, shorter, for a table. */
  readonly brief: string;
}

/** `entries`: a list of mappings. `mapping` is only an option of a provider. */
export type OptionKind = "string" | "integer" | "boolean" | "choice" | "list" | "entries" | "mapping";

/** The parts of a schema that are read here; typebox schemas are plain JSON Schema. */
interface Shape {
  readonly type?: string;
  readonly const?: unknown;
  readonly anyOf?: readonly Shape[];
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly patternProperties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly default?: unknown;
  readonly description?: string;
}

/** Every option in the schema's order. */
export const options: readonly Option[] = collect(shapeOf(ConfigSchema), []);
const byKey = new Map(options.map((option) => [option.key, option]));
const byVariable = new Map(options.map((option) => [option.variable, option]));

export const optionOf = (key: string): Option | undefined => byKey.get(key);
export const optionOfVariable = (variable: string): Option | undefined => byVariable.get(variable);

/** The options of one type of provider, in its schema's order. */
export function optionsOfEntry(
  entry: TSchema,
): readonly { readonly key: string; readonly isRequired: boolean; readonly option: Option }[] {
  const { properties = {}, required = [] } = shapeOf(entry);
  return Object.entries(properties).map(([key, shape]) => ({
    key,
    isRequired: required.includes(key),
    option: describe(shape, [key]),
  }));
}

function shapeOf(schema: TSchema): Shape {
  return schema as Shape;
}

function collect(shape: Shape, path: readonly string[]): Option[] {
  return Object.entries(shape.properties ?? {}).flatMap(([name, child]) =>
    child.properties === undefined ? [describe(child, [...path, name])] : collect(child, [...path, name]),
  );
}

function describe(shape: Shape, path: readonly string[]): Option {
  const nullable = shape.anyOf?.some((branch) => branch.type === "null") ?? false;
  const value = nullable ? (shape.anyOf?.find((branch) => branch.type !== "null") ?? shape) : shape;
  const kind = kindOf(value);
  return {
    key: path.join("."),
    path,
    variable: VARIABLE_PREFIX + path.join("_").toUpperCase(),
    kind,
    nullable,
    fallback: shape.default,
    description: shape.description ?? "",
    allowed: allowedBy(value, kind) + (nullable ? " or null" : ""),
    brief: briefly(value, kind),
  };
}

function kindOf(shape: Shape): OptionKind {
  if (shape.anyOf !== undefined) return "choice";
  if (shape.type === "array") return shape.items?.type === "string" ? "list" : "entries";
  if (shape.type === "object") return "mapping";
  if (shape.type === "integer" || shape.type === "boolean") return shape.type;
  return "string";
}

function allowedBy(shape: Shape, kind: OptionKind): string {
  if (kind === "choice")
    return `one of ${(shape.anyOf ?? []).map((branch) => String(branch.const)).join(", ")}`;
  if (kind === "integer") return `an integer from ${shape.minimum} to ${shape.maximum}`;
  if (kind === "boolean") return "true or false";
  if (kind === "entries") return `a list of 1 to ${shape.maxItems} mappings`;
  if (kind === "mapping") return "a mapping";
  if (kind === "list") return `a list of at most ${shape.maxItems} strings`;
  return `a string of ${shape.minLength ?? 0} to ${shape.maxLength} characters`;
}

function briefly(shape: Shape, kind: OptionKind): string {
  if (kind === "choice") return (shape.anyOf ?? []).map((branch) => String(branch.const)).join(", ");
  if (kind === "integer") return `${shape.minimum} to ${shape.maximum}`;
  return { string: "text", boolean: "true, false", list: "list", entries: "list", mapping: "mapping" }[kind];
}
