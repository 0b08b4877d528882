/**
 * Full case folding as Unicode's CaseFolding.txt has it (status C and F), by the engine's own case mappings: `ß`, `ẞ` and
 * `ss` become one text, and so do `σ` and `ς`. Scripts that are folded to upper case there (Cherokee) come out in lower
 * case, which makes the same texts one. The dotless `ı` is itself, not an `i`: only its upper case is.
 */
export function caseFolded(text: string): string {
  return text
    .split("ı")
    .map((part) => part.toLowerCase().toUpperCase().toLowerCase())
    .join("ı")
    .replaceAll("ς", "σ");
}
