// Makes one program of the command: typebox alone is some 300 modules, which cost every process about 16 MiB of memory and
// its start. Other packages stay what npm installed.
import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { build } from "esbuild";

const bundled = ["typebox"];

/** Replaces `dist/src/cli`, with what the modules in it read beside themselves at run time. */
export async function bundleCommand(root) {
  const cli = path.join(root, "dist/src/cli");
  const made = `${cli}.bundle`;
  const { dependencies, optionalDependencies } = JSON.parse(
    readFileSync(path.join(root, "package.json"), "utf8"),
  );
  const packages = Object.keys({ ...dependencies, ...optionalDependencies });
  await build({
    absWorkingDir: root,
    entryPoints: [path.join(cli, "main.js")],
    outdir: made,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: packages.filter((name) => !bundled.includes(name)),
    logLevel: "warning",
  });
  rmSync(cli, { recursive: true });
  renameSync(made, cli);
  for (const thread of ["kdf-worker.mjs", "common-passwords-worker.mjs"])
    copyFileSync(path.join(root, "src/auth/passwords", thread), path.join(cli, thread));
  cpSync(path.join(root, "src/store/redis/scripts"), path.join(cli, "scripts"), { recursive: true });
  const licenses = bundled.map((name) => `${name}\n\n${licenseOf(path.join(root, "node_modules", name))}`);
  writeFileSync(path.join(cli, "LICENSES-OF-BUNDLED-PACKAGES"), licenses.join("\n\n"));
}

function licenseOf(folder) {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  if (file === undefined || !existsSync(path.join(folder, file)))
    throw new Error(`${folder} has no license file`);
  return readFileSync(path.join(folder, file), "utf8");
}
