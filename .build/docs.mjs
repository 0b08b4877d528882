// `npm run docs`: writes the generated tables of options and `protocol/schemas` from what `npm run build` made, and the
// msgpack of vectors with `canonical` that were written by hand without it.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { protocolFiles } from "../dist/protocol/json-schemas.js";
import { createMsgpackCodec } from "../dist/src/codec/msgpack.js";
import { withConfigTable, withFactorsTable, withProvidersTable } from "../dist/src/server/config/markdown.js";

const tables = {
  "../.deploy/configuration.md": withConfigTable,
  "../src/auth/providers/README.md": withProvidersTable,
  "../src/auth/factors/README.md": withFactorsTable,
};
for (const [name, withTable] of Object.entries(tables)) {
  const page = new URL(name, import.meta.url);
  const next = withTable(readFileSync(page, "utf8"));
  if (next === undefined) throw new Error(`${name} has lost the markers of its generated table`);
  writeFileSync(page, next);
}

const schemas = new URL("../protocol/schemas/", import.meta.url);
rmSync(schemas, { recursive: true, force: true });
for (const [name, value] of protocolFiles()) {
  const file = new URL(name, schemas);
  mkdirSync(new URL(".", file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}

const codec = createMsgpackCodec();
const vectors = new URL("../protocol/vectors/", import.meta.url);
for (const name of readdirSync(vectors).filter((each) => each.endsWith(".json"))) {
  const file = new URL(name, vectors);
  const list = JSON.parse(readFileSync(file, "utf8"));
  const isIncomplete = (vector) => vector.canonical === true && !("msgpack" in vector);
  if (!list.some(isIncomplete)) continue;
  const complete = ({ name, direction, phase, json, canonical, ...rest }) => {
    const msgpack = Buffer.from(codec.encode(JSON.parse(json))).toString("hex");
    return { name, direction, phase, json, msgpack, canonical, ...rest };
  };
  const completed = list.map((vector) => (isIncomplete(vector) ? complete(vector) : vector));
  writeFileSync(file, `${JSON.stringify(completed, null, 2)}\n`);
}
// As the linter wants them.
const biome = path.join(
  path.dirname(createRequire(import.meta.url).resolve("@biomejs/biome/package.json")),
  "bin/biome",
);
execFileSync(process.execPath, [biome, "format", "--write", fileURLToPath(vectors)], { stdio: "inherit" });
