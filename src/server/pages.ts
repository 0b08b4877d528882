import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { type PageFile, pageFile } from "../http/pages.ts";

const folderOfPages = fileURLToPath(new URL("../pages", import.meta.url));

/**
 * Reads every file of the pages' folder, which the build copies next to the compiled code, in the order of their paths.
 * Rejects for a file type that pages do not use.
 */
export async function readPages(folder = folderOfPages): Promise<readonly PageFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const pages = await Promise.all(
    files.map(async (file) => {
      const name = path.relative(folder, file).split(path.sep).join("/");
      return pageFile(name, await readFile(file, "utf8"));
    }),
  );
  return pages.sort((a, b) => (a.path < b.path ? -1 : 1));
}
