import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";

import { type CommandType, commands } from "../../protocol/commands/index.ts";
import { protocolFiles } from "../../protocol/json-schemas.ts";
import { loadVectors } from "./vectors.ts";

const folder = path.resolve(import.meta.dirname, "../../protocol/schemas");
const onDisk = new Map(
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => [path.relative(folder, file), readFileSync(file, "utf8")] as const),
);

/** A validator of another author's. */
const ajv = new Ajv2020({ strict: true, strictTypes: false, strictTuples: false, validateFormats: false });
const validatorOf = (file: string) => {
  const schema = JSON.parse(onDisk.get(file) ?? "null") as { $id: string } | null;
  if (schema === null) throw new Error(`there is no ${file}`);
  return ajv.getSchema(schema.$id) ?? ajv.compile(schema);
};

describe("the files for other languages", () => {
  it("are what the sources say (npm run docs writes them)", () => {
    const made = [...protocolFiles()].map(([file, value]) => [file, `${JSON.stringify(value, null, 2)}\n`]);
    expect(Object.fromEntries(onDisk)).toEqual(Object.fromEntries(made));
  });

  it("are valid schemas of draft 2020-12, with ids of their own", () => {
    const files = [...onDisk.keys()].filter((file) => file.includes("/"));
    for (const file of files) expect(validatorOf(file), file).toBeTypeOf("function");
    const ids = files.map((file) => (JSON.parse(onDisk.get(file) ?? "") as { $id: string }).$id);
    expect(new Set(ids).size).toBe(files.length);
    expect(files.length).toBeGreaterThan(2 * Object.keys(commands).length);
  });

  it("say the same as the server of every vector's request", () => {
    let judged = 0;
    for (const vector of loadVectors()) {
      const text = "json" in vector ? vector.json : undefined;
      if (vector.direction !== "client" || typeof text !== "string") continue;
      const message = parsed(text);
      const type = typeOf(message);
      if (type === undefined) continue;
      const expected = "accepted" in vector.expect;
      if (!expected && !("error" in vector.expect && vector.expect.error === "invalid_format")) continue;
      judged += 1;
      // A message whose number is wrong is refused for that alone.
      expect(validatorOf(`requests/${type}.json`)(message), vector.name).toBe(expected);
    }
    expect(judged).toBeGreaterThan(100);
  });

  it("describe what a number or a default means, where one is", () => {
    const bare = [...onDisk]
      .filter(([file]) => file.startsWith("requests/"))
      .flatMap(([file, text]) => {
        const { properties } = JSON.parse(text) as { properties: Record<string, Field> };
        return Object.entries(properties)
          .filter(([key, field]) => key !== "id" && isUnexplained(field))
          .map(([key]) => `${file} ${key}`);
      });
    expect(bare).toEqual([]);
  });
});

interface Field {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
}

function isUnexplained({ type, description, default: value }: Field): boolean {
  return description === undefined && (type === "integer" || type === "number" || value !== undefined);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function typeOf(message: unknown): CommandType | undefined {
  if (typeof message !== "object" || message === null || !("type" in message)) return undefined;
  const { type } = message;
  return typeof type === "string" && Object.hasOwn(commands, type) ? (type as CommandType) : undefined;
}
