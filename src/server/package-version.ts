import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** This package's version, from the package.json above this file. Works in the source tree and in dist. */
export function packageVersion(): string {
  for (let folder = import.meta.dirname; ; folder = path.dirname(folder)) {
    const file = path.join(folder, "package.json");
    if (existsSync(file)) {
      const { version } = JSON.parse(readFileSync(file, "utf8")) as { version?: string };
      return version ?? "unknown";
    }
    if (folder === path.dirname(folder)) return "unknown";
  }
}
