// `npm run bench -- NAME`: bundles the benchmarks for Node and runs bench/NAME.ts. Packages stay outside.
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const sourcesIn = (folder) =>
  existsSync(path.join(root, folder))
    ? readdirSync(path.join(root, folder))
        .filter((file) => file.endsWith(".ts"))
        .map((file) => path.join(root, folder, file))
    : [];
const questions = sourcesIn("bench").map((file) => path.basename(file, ".ts"));
const [name, ...args] = process.argv.slice(2);
const flags = ["check", "publish", "no-peers", "profile", "quick"];
// Each benchmark reads those that it has; see bench/README.md.
const settings = [
  "only",
  "rounds",
  "sockets",
  "clients",
  "spread",
  "arrivals",
  "seconds",
  "minutes",
  "n",
  "r",
  "p",
];
const problem = questions.includes(name) ? problemOf(args) : "";
if (problem !== undefined) {
  if (problem !== "") console.error(problem);
  console.error(
    `usage: npm run bench -- ${questions.join(" | ")} [--check] [--publish] [--no-peers] [--only NAME,NAME] [--rounds N]`,
  );
  process.exit(2);
}
if (!existsSync(path.join(root, "dist/src/index.js"))) {
  console.error("npm run build comes first: what is measured is what users run");
  process.exit(2);
}
const out = path.join(root, "dist/bench");
const shared = {
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  logLevel: "warning",
  // The gateway itself is what `npm run build` made: the same files that users run.
  plugins: [{ name: "built", setup: useBuiltGateway }],
};
await build({
  ...shared,
  entryPoints: [...sourcesIn("bench"), ...sourcesIn("bench/servers"), ...sourcesIn("bench/load")],
  outdir: out,
  outbase: path.join(root, "bench"),
});
// The peers' packages are found from where they are installed.
await build({
  ...shared,
  entryPoints: sourcesIn("bench/peers"),
  outdir: path.join(root, "bench/peers/.built"),
});
const run = spawn(process.execPath, [path.join(out, `${name}.js`), ...args], { stdio: "inherit", cwd: root });
// It ends with its servers, which notice that it is gone.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => run.kill(signal));
run.on("exit", (status) => process.exit(status ?? 1));

function useBuiltGateway(setup) {
  setup.onResolve({ filter: /^\.\.\/\.\.\/(src|protocol)\// }, ({ path: target }) => ({
    path: path.join(root, "dist", target.replace(/^\.\.\/\.\.\//, "").replace(/\.ts$/, ".js")),
    external: true,
  }));
}

/** A misspelt flag would run for minutes and then lack what was asked for. */
function problemOf(args) {
  const options = Object.fromEntries([
    ...flags.map((flag) => [flag, { type: "boolean" }]),
    ...settings.map((setting) => [setting, { type: "string" }]),
  ]);
  try {
    parseArgs({ args, options });
    return undefined;
  } catch (error) {
    return error.message;
  }
}
