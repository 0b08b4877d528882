// Compiles protocol/ and src/ to dist/, copies the files that are read at run time (Lua, pages), and makes the client's package and
// the login element.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { bundleCommand } from "./bundle-command.mjs";
import { buildClientPackage } from "./client-package.mjs";
import { bundleLoginElement } from "./login-element.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const tsc = path.join(
  path.dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
  "bin/tsc",
);
const dist = path.join(root, "dist");

rmSync(dist, { recursive: true, force: true });
const compiled = spawnSync(process.execPath, [tsc, "-p", path.join(root, ".build/tsconfig.json")], {
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

const isAsset = (file) => !/\.(ts|md)$/.test(file);
cpSync(path.join(root, "src"), path.join(dist, "src"), { recursive: true, filter: isAsset });
await bundleCommand(root);
const bin = path.join(dist, "src/cli/main.js");
if (existsSync(bin)) chmodSync(bin, 0o755);
await buildClientPackage(root);
await bundleLoginElement(root);
