// `npm run docs`: writes the README's generated parts and `protocol/schemas` from what `npm run build` made.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

import { protocolFiles } from "../dist/protocol/json-schemas.js";
import { withTables } from "../dist/src/server/config/markdown.js";

const readme = new URL("../README.md", import.meta.url);
const next = withTables(readFileSync(readme, "utf8"));
if (next === undefined) throw new Error("README.md has lost the markers of its generated tables");
writeFileSync(readme, next);

const schemas = new URL("../protocol/schemas/", import.meta.url);
rmSync(schemas, { recursive: true, force: true });
for (const [name, value] of protocolFiles()) {
  const file = new URL(name, schemas);
  mkdirSync(new URL(".", file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}
