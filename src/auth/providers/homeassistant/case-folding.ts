/**
 * Full case folding as in Unicode's CaseFolding.txt (status C and F), by the engine's own case mappings: `ß`, `ẞ` and
 * `ss` become equal, and so do `σ` and `ς`. Scripts that CaseFolding.txt folds to upper case (Cherokee) are folded to
 * lower case here, which makes the same texts equal. The dotless `ı` does not become an `i`, although its upper case
 * is the same.
 */
export function caseFolded(text: string): string {
  return text
    .split("ı")
    .map((part) => part.toLowerCase().toUpperCase().toLowerCase())
    .join("ı")
    .replaceAll("ς", "σ");
}
