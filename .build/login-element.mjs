// Makes dist/src/pages/login-element.js, which the gateway serves: the login element with the client and Lit in one file. Beside it
// password-proof.js and scrypt-worker.js, which it loads when a password is proved.
import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";

/** Bundles what `tsc` made, and removes it: nothing else of the gateway's package may need Lit. */
export async function bundleLoginElement(root) {
  const compiled = path.join(root, "dist/src/login-element");
  await build({
    entryPoints: {
      "login-element": path.join(compiled, "index.js"),
      "password-proof": path.join(root, "dist/src/client/password-proof.js"),
      "scrypt-worker": path.join(root, "dist/src/client/scrypt-worker.js"),
    },
    outdir: path.join(root, "dist/src/pages"),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    external: ["ws", "./password-proof.js"],
    legalComments: "eof",
    logLevel: "warning",
  });
  // Its notices are in the file; the licence asks for its text too.
  cpSync(path.join(root, "node_modules/lit/LICENSE"), path.join(root, "dist/src/LICENSE-lit"));
  cpSync(
    path.join(root, "node_modules/scrypt-js/LICENSE.txt"),
    path.join(root, "dist/src/LICENSE-scrypt-js"),
  );
  cpSync(
    path.join(root, "node_modules/@noble/hashes/LICENSE"),
    path.join(root, "dist/src/LICENSE-noble-hashes"),
  );
  rmSync(compiled, { recursive: true });
}
