import { type Option, options } from "./options.ts";

export const TABLE_BEGIN = "<!-- configuration:begin -->";
export const TABLE_END = "<!-- configuration:end -->";

/** The README's table of all options. */
export function configMarkdown(): string {
  const head = row(["option", "environment", "default", "allowed", "what it does"]);
  return [head, "| --- | --- | --- | --- | --- |", ...options.map(rowOf)].join("\n");
}

/** `readme` with the current table between the markers; undefined if the markers are missing. */
export function withConfigTable(readme: string): string | undefined {
  const begin = readme.indexOf(TABLE_BEGIN);
  const end = readme.indexOf(TABLE_END);
  if (begin === -1 || end < begin) return undefined;
  return `${readme.slice(0, begin + TABLE_BEGIN.length)}\n\n${configMarkdown()}\n\n${readme.slice(end)}`;
}

function rowOf(option: Option): string {
  const { key, variable, fallback, description } = option;
  return row([`\`${key}\``, `\`${variable}\``, defaultText(fallback), option.brief, description]);
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function defaultText(value: unknown): string {
  if (value === null) return "none";
  if (Array.isArray(value) && typeof value[0] === "object") return `\`${JSON.stringify(value)}\``;
  return `\`${Array.isArray(value) ? `[${value.join(", ")}]` : String(value)}\``;
}
