// JSON Schemas as TypeScript: the protocol's types for readers who do not have its schema library.

/** `CommandType`, `Params` and `Result`, as `protocol/commands` exports them. */
export function commandDeclarations(commands) {
  const entries = Object.entries(commands).map(
    ([type, { params, result }]) =>
      `  ${JSON.stringify(type)}: { params: ${typeOf(params)}; result: ${typeOf(result)} };`,
  );
  return [
    "interface Commands {",
    ...entries,
    "}",
    "export type CommandType = keyof Commands;",
    'export type Params<T extends CommandType> = Commands[T]["params"];',
    'export type Result<T extends CommandType> = Commands[T]["result"];',
    "",
  ].join("\n");
}

/** A type of the same name for each schema that the module `schemas` exports. */
export function declarationsOf(schemas) {
  return Object.entries(schemas)
    .map(([name, schema]) => `export type ${name} = ${typeOf(schema)};\n`)
    .join("");
}

const primitives = {
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  null: "null",
};

/** Throws for a schema of another kind than the protocol has. */
function typeOf(schema) {
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return arrayType(schema.items);
  if (schema.type === "object") return objectType(schema);
  if (Object.hasOwn(primitives, schema.type ?? "")) return primitives[schema.type];
  if (Object.keys(schema).every((key) => ["description", "default"].includes(key))) return "unknown";
  throw new Error(`a schema without a TypeScript type: ${JSON.stringify(schema)}`);
}

function arrayType(items) {
  return Array.isArray(items) ? `[${items.map(typeOf).join(", ")}]` : `Array<${typeOf(items)}>`;
}

function objectType({ properties = {}, required = [], patternProperties }) {
  if (patternProperties) {
    const values = Object.values(patternProperties).map(typeOf);
    return `Record<string, ${values.join(" | ")}>`;
  }
  const members = Object.entries(properties).map(([name, schema]) => {
    const comment = schema.description ? `/** ${schema.description.replaceAll("*/", "* /")} */ ` : "";
    return `${comment}${JSON.stringify(name)}${required.includes(name) ? "" : "?"}: ${typeOf(schema)}`;
  });
  return members.length === 0 ? "Record<never, never>" : `{ ${members.join("; ")} }`;
}
