import type { ImportProblem, UserToImport } from "../../auth/providers/homeassistant/import-users.ts";
import { UsageError } from "../output.ts";
import { csvEntries } from "./csv.ts";
import { type Entry, userOfEntry } from "./entries.ts";
import { isHomeAssistantFile, readHomeAssistant } from "./home-assistant.ts";
import { isFolder, parsedJson, readText } from "./read-text.ts";

export const importFormats = ["json", "csv", "home-assistant"] as const;
export type ImportFormat = (typeof importFormats)[number];

/** What a file says, before the store was asked. */
export interface ReadUsers {
  readonly users: readonly UserToImport[];
  readonly problems: readonly ImportProblem[];
  /** What is in the file and is not imported, in words for the operator. */
  readonly skipped: readonly ImportProblem[];
}

/**
 * Reads users from a file: JSON, CSV, or what Home Assistant stores. Without `format` the name and the content say which.
 * Group names stay as they are spelled. Throws `UsageError` for a file that cannot be read at all.
 */
export function readImport(file: string, format: ImportFormat | undefined): ReadUsers {
  if (isFolder(file) && (format === undefined || format === "home-assistant")) return readHomeAssistant(file);
  const text = readText(file);
  if (format === "home-assistant" || (format === undefined && isHomeAssistantFile(file)))
    return readHomeAssistant(file);
  const isCsv = format === "csv" || (format === undefined && !/^\s*\[/.test(text));
  const users: UserToImport[] = [];
  const problems: ImportProblem[] = [];
  for (const { entry, fields } of isCsv ? csvEntries(text) : jsonEntries(text)) {
    const read = userOfEntry(entry, fields);
    if ("problem" in read) problems.push(read);
    else users.push(read);
  }
  return { users, problems, skipped: [] };
}

function jsonEntries(text: string): readonly Entry[] {
  const list = parsedJson(text, "the file");
  if (!Array.isArray(list)) throw new UsageError("the file is no JSON array of users");
  // A text in the list is no entry. It may be a hash, so it is not repeated.
  return list.map((fields: unknown, place) => ({
    entry: `entry ${place + 1}`,
    fields: typeof fields === "string" ? null : fields,
  }));
}
