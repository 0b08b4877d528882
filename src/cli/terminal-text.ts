/**
 * Characters that a terminal interprets: control characters (C0, DEL, C1), line and paragraph separators, and marks
 * that reorder text.
 */
const obeyed = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
/** Characters that take two columns (Unicode Standard Annex 11: wide and fullwidth); close enough for a table. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const noColumn = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** `text` on one line, without control characters: names are untrusted input. */
export function oneLine(text: string): string {
  return text.replace(obeyed, escaped);
}

/** Like `oneLine`, but keeps line breaks, for text that has several lines. */
export function shown(text: string): string {
  return text.split("\n").map(oneLine).join("\n");
}

/** The same JSON value, with control characters escaped. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(obeyed, escaped);
}

/** The width of `text` in terminal columns. */
export function columns(text: string): number {
  let sum = 0;
  for (const { segment } of graphemes.segment(text)) {
    sum += wide.test(segment) ? 2 : noColumn.test(segment) ? 0 : 1;
  }
  return sum;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
