import { existsSync } from "node:fs";
import path from "node:path";

import type { PageFile } from "../../src/http/pages.ts";
import { readPages } from "../../src/server/pages.ts";

const folder = path.resolve(import.meta.dirname, "../../dist/src/pages");

/** The pages as they are served: with the login element, which the build makes. */
export async function builtPages(): Promise<readonly PageFile[]> {
  if (!existsSync(path.join(folder, "login-element.js")))
    throw new Error("the login element is not built: run `node .build/build.mjs`");
  return await readPages(folder);
}
