// `npm run docs`: writes the README's generated parts from what `npm run build` made.
import { readFileSync, writeFileSync } from "node:fs";

import { withConfigTable } from "../dist/src/server/config/markdown.js";

const readme = new URL("../README.md", import.meta.url);
const next = withConfigTable(readFileSync(readme, "utf8"));
if (next === undefined) throw new Error("README.md has lost the markers of its configuration table");
writeFileSync(readme, next);
