// `npm run bench -- NAME`: bundles bench/NAME.ts and its servers for Node and runs it. Packages stay outside.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const questions = readdirSync(path.join(root, "bench")).filter((file) => file.endsWith(".ts"));
const [name, ...args] = process.argv.slice(2);
if (!questions.includes(`${name}.ts`)) {
  console.error(`usage: npm run bench -- ${questions.map((file) => file.replace(/\.ts$/, "")).join(" | ")}`);
  process.exit(2);
}
const out = path.join(root, "dist/bench");
const servers = readdirSync(path.join(root, "bench/servers")).map((file) =>
  path.join(root, "bench/servers", file),
);
await build({
  entryPoints: [path.join(root, "bench", `${name}.ts`), ...servers],
  outdir: out,
  outbase: path.join(root, "bench"),
  bundle: true,
  // The gateway itself is what `npm run build` made: the same files that users run.
  plugins: [{ name: "built", setup: useBuiltGateway }],
  packages: "external",
  platform: "node",
  format: "esm",
  logLevel: "warning",
});
process.exit(
  spawnSync(process.execPath, [path.join(out, `${name}.js`), ...args], { stdio: "inherit" }).status ?? 1,
);

function useBuiltGateway(setup) {
  setup.onResolve({ filter: /^\.\.\/\.\.\/(src|protocol)\// }, ({ path: target }) => ({
    path: path.join(root, "dist", target.replace(/^\.\.\/\.\.\//, "").replace(/\.ts$/, ".js")),
    external: true,
  }));
}
