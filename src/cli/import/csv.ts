import { UsageError } from "../output.ts";
import { type Entry, unknownFieldIn } from "./entries.ts";

const required = ["username", "password_hash"] as const;

/**
 * The records of a CSV text (RFC 4180) as entries, named by the line that they begin on. The first record names the
 * columns. Throws `UsageError` for a text that is no CSV, and for a column that is unknown.
 */
export function csvEntries(text: string): readonly Entry[] {
  const [head, ...records] = recordsOf(text);
  const columns = head?.cells.map((name) => name.trim()) ?? [];
  const found = required.filter((name) => columns.includes(name)).length;
  // With none of them it is no line of names, but a first entry, or no CSV.
  const strange = found === 0 ? undefined : unknownFieldIn(columns);
  if (strange !== undefined) throw new UsageError(`line ${head?.line}: ${strange}`);
  if (found < required.length)
    throw new UsageError(
      "the first line of a CSV file names the columns, among them username and password_hash, in small letters and separated by commas",
    );
  if (new Set(columns).size < columns.length)
    throw new UsageError("the first line of a CSV file names a column twice");
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

interface CsvCell {
  readonly value: string;
  /** After the cell. */
  readonly at: number;
}

/** A cell is quoted whole, with quotes doubled, or has no quote at all. Undefined for a quote that nothing closes. */
function cellAt(text: string, at: number): CsvCell | undefined {
  if (text[at] !== '"') {
    const end = indexOfMatch(/[",\r\n]/g, text, at);
    return { value: text.slice(at, end), at: end };
  }
  // No expression for the whole cell: it would need stack for each character.
  let end = text.indexOf('"', at + 1);
  while (end !== -1 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
  return end === -1 ? undefined : { value: text.slice(at + 1, end).replaceAll('""', '"'), at: end + 1 };
}

function indexOfMatch(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.exec(text)?.index ?? text.length;
}

const cellEnd = /,|\r?\n|$/y;

function recordsOf(text: string): readonly CsvRecord[] {
  const records: CsvRecord[] = [];
  let cells: string[] = [];
  let line = 1;
  let begunAt = 1;
  for (let at = 0; at < text.length; ) {
    const cell = cellAt(text, at);
    cellEnd.lastIndex = cell?.at ?? 0;
    const [end] = (cell && cellEnd.exec(text)) ?? [];
    if (cell === undefined || end === undefined)
      throw new UsageError(`line ${line} is no CSV: quotes do not match`);
    cells.push(cell.value);
    const next = cell.at + end.length;
    line += text.slice(at, next).split("\n").length - 1;
    at = next;
    if (end === "," && at < text.length) continue;
    if (end === ",") cells.push("");
    if (cells.length > 1 || cells[0] !== "") records.push({ line: begunAt, cells });
    cells = [];
    begunAt = line;
  }
  return records;
}
