import { readFileSync } from "node:fs";
import path from "node:path";

export const readme = readFileSync(path.resolve(import.meta.dirname, "../../protocol/README.md"), "utf8");

/** The text between a heading of that name and the next of the same level or above. */
export function sectionOf(heading: string): string {
  const lines = readme.split("\n");
  const start = lines.findIndex((line) => line.replace(/^#+ /, "") === heading && line.startsWith("#"));
  if (start < 0) throw new Error(`README has no section ${heading}`);
  const level = /^#+/.exec(lines[start] ?? "")?.[0].length ?? 0;
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => new RegExp(`^#{1,${level}} `).test(line));
  return rest.slice(0, end < 0 ? rest.length : end).join("\n");
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
