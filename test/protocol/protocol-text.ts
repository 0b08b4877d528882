import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const folder = path.resolve(import.meta.dirname, "../../protocol");

/** The parts of the protocol's text, by file name; `README.md` is the index. */
export const parts: ReadonlyMap<string, string> = new Map(
  readdirSync(folder)
    .filter((name) => name.endsWith(".md"))
    .sort()
    .map((name) => [name, readFileSync(path.join(folder, name), "utf8")]),
);

/** All parts, one after another. */
export const wholeText = [...parts.values()].join("\n");

/**
 * The text between a heading of that name and the next of the same level or above. Throws when not exactly one part has the
 * heading.
 */
export function sectionOf(heading: string): string {
  const found = [...parts.values()].flatMap((text) => sectionsIn(text, heading));
  const [section] = found;
  if (section === undefined || found.length > 1)
    throw new Error(`${found.length} sections of the protocol's text are called ${heading}`);
  return section;
}

function sectionsIn(text: string, heading: string): readonly string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, start) => {
    if (!line.startsWith("#") || line.replace(/^#+ /, "") !== heading) return [];
    const level = /^#+/.exec(line)?.[0].length ?? 0;
    const rest = lines.slice(start + 1);
    const end = rest.findIndex((other) => new RegExp(`^#{1,${level}} `).test(other));
    return [rest.slice(0, end < 0 ? rest.length : end).join("\n")];
  });
}

/** The rows of a section's table with these columns, by column; cells without their code marks. */
export function tableOf(section: string, columns: readonly string[]): readonly Record<string, string>[] {
  const lines = sectionOf(section).split("\n").map(cellsOf);
  const head = lines.findIndex((cells) => cells.join("|") === columns.join("|"));
  if (head < 0) throw new Error(`section ${section} has no table of ${columns.join(", ")}`);
  const rest = lines.slice(head + 2);
  const end = rest.findIndex((cells) => cells.length === 0);
  return rest
    .slice(0, end < 0 ? rest.length : end)
    .map((cells) => Object.fromEntries(columns.map((column, index) => [column, plain(cells[index] ?? "")])));
}

/** The cells of a table's line; none for another line. */
function cellsOf(line: string): readonly string[] {
  if (!line.startsWith("|")) return [];
  return line
    .slice(1, line.lastIndexOf("|"))
    .split("|")
    .map((cell) => cell.trim());
}

function plain(cell: string): string {
  return cell.replace(/^`([^`]*)`$/, "$1");
}

/** Everything between code marks. */
export function codeSpans(text: string): readonly string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? "");
}
