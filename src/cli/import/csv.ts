import { UsageError } from "../output.ts";
import type { Entry } from "./entries.ts";

/**
 * The records of a CSV text (RFC 4180) as entries, named by the line that they begin on. The first record names the
 * columns. Throws `UsageError` for a text that is no CSV.
 */
export function csvEntries(text: string): readonly Entry[] {
  const [head, ...records] = recordsOf(text);
  const columns = head?.cells.map((name) => name.trim()) ?? [];
  if (!columns.includes("username") || !columns.includes("password_hash"))
    throw new UsageError(
      "the first line of a CSV file names the columns, among them username and password_hash",
    );
  return records.map(({ line, cells }) => ({
    entry: `line ${line}`,
    fields:
      cells.length === columns.length
        ? Object.fromEntries(columns.map((name, place) => [name, cells[place] ?? ""]))
        : `has ${cells.length} columns, and the first line has ${columns.length}`,
  }));
}

interface CsvRecord {
  readonly line: number;
  readonly cells: readonly string[];
}

/** A cell is quoted whole, with quotes doubled, or has no quote at all. */
const cellShape = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;

function recordsOf(text: string): readonly CsvRecord[] {
  const records: CsvRecord[] = [];
  let cells: string[] = [];
  let line = 1;
  let begunAt = 1;
  cellShape.lastIndex = 0;
  while (cellShape.lastIndex < text.length) {
    const found = cellShape.exec(text);
    if (found === null) throw new UsageError(`line ${line} is no CSV: quotes do not match`);
    const [whole, quoted, bare = "", end = ""] = found;
    cells.push(quoted?.replaceAll('""', '"') ?? bare);
    line += whole.split("\n").length - 1;
    if (end === "," && cellShape.lastIndex < text.length) continue;
    if (end === ",") cells.push("");
    if (cells.length > 1 || cells[0] !== "") records.push({ line: begunAt, cells });
    cells = [];
    begunAt = line;
  }
  return records;
}
