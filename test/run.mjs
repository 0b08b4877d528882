// `npm test`: gets what the tests need from the machine, then runs all of them and closes with one plain line.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { provideTools } from "./support/provide-tools.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const bin = (name) => path.join(root, "node_modules/.bin", name);
const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: "inherit" }).status === 0;

provideTools();

const scratch = mkdtempSync(path.join(tmpdir(), "gatehouse-test-"));
const report = path.join(scratch, "report.json");
const filters = process.argv.slice(2);
const checks = {
  build: () => run(process.execPath, [path.join(root, ".build/build.mjs")]),
  types: () => run(bin("tsc"), ["--noEmit"]),
  lint: () => run(bin("biome"), ["ci", "--error-on-warnings", "."]),
};

let passed = 0;
let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const ok = check();
  console.log(`${ok ? "ok" : "FAILED"}: ${name}`);
  if (ok) passed += 1;
  else failed += 1;
}

const vitest = spawnSync(
  bin("vitest"),
  [
    "run",
    "--config",
    "test/vitest.config.ts",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...filters,
  ],
  { cwd: root, stdio: "inherit" },
);
try {
  const result = JSON.parse(readFileSync(report, "utf8"));
  passed += result.numPassedTests;
  failed += result.numFailedTests;
  // A file that could not be loaded, or an error outside any test, fails the run without failing a test.
  if (vitest.status !== 0 && result.numFailedTests === 0) failed += 1;
} catch {
  failed += 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
