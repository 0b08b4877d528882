// Makes dist/src/pages/login-element.js, which the gateway serves: the login element with the client and Lit in one file.
import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";

/** Bundles what `tsc` made, and removes it: nothing else of the gateway's package may need Lit. */
export async function bundleLoginElement(root) {
  const compiled = path.join(root, "dist/src/login-element");
  await build({
    entryPoints: [path.join(compiled, "index.js")],
    outfile: path.join(root, "dist/src/pages/login-element.js"),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    external: ["ws"],
    legalComments: "eof",
    logLevel: "warning",
  });
  // Its notices are in the file; the licence asks for its text too.
  cpSync(path.join(root, "node_modules/lit/LICENSE"), path.join(root, "dist/src/LICENSE-lit"));
  rmSync(compiled, { recursive: true });
}
