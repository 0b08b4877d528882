import { readFileSync, statSync } from "node:fs";
import path from "node:path";

import { UsageError } from "../output.ts";

const mostBytes = 64 * 2 ** 20;

/** Throws `UsageError` without quoting the text, which may hold a hash. */
export function parsedJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new UsageError(`${what} is no JSON`);
  }
}

export function isFolder(file: string): boolean {
  try {
    return statSync(file).isDirectory();
  } catch {
    return false;
  }
}

export function readText(file: string): string {
  try {
    if (statSync(file).size > mostBytes) throw new UsageError(`${path.basename(file)} is larger than 64 MiB`);
    return readFileSync(file, "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw new UsageError(`cannot read ${file} (${reason})`);
  }
}
