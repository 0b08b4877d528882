import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";

/** Node 20 runs no TypeScript: child processes of tests get it compiled file by file as they import it. */
export async function load(url, context, nextLoad) {
  if (!url.endsWith(".ts")) return await nextLoad(url, context);
  const source = await readFile(fileURLToPath(url), "utf8");
  const { code } = await transform(source, {
    loader: "ts",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
  });
  return { format: "module", source: code, shortCircuit: true };
}
