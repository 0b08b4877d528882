/** Names and values, in order. */
type Entries = Iterable<readonly [name: string, value: string]>;

/** Labels of ASCII. In such a body everything else is percent-encoded, as UTF-8 unless a charset says otherwise. */
const ascii: ReadonlySet<string> = new Set(["us-ascii", "ascii", "ansi_x3.4-1968"]);

/**
 * The entries of an `application/x-www-form-urlencoded` body. `charset` is the media type's parameter in lower case.
 * Reads UTF-8 and ISO-8859-1, under every label of the Encoding Standard. Undefined for any other charset. Throws
 * TypeError for bytes that the charset does not have.
 */
export function urlencodedEntries(bytes: Uint8Array, charset = "utf-8"): Entries | undefined {
  const encoding = encodingOf(charset);
  if (encoding === "utf-8")
    return new URLSearchParams(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  // The Encoding Standard's name for ISO-8859-1. The two differ only in control characters.
  if (encoding === "windows-1252") return inLatin1(bytes);
  return undefined;
}

function encodingOf(charset: string): string | undefined {
  if (ascii.has(charset)) return "utf-8";
  try {
    return new TextDecoder(charset).encoding;
  } catch {
    return undefined;
  }
}

/** `URLSearchParams` takes every percent-encoded byte for one of UTF-8. Reads only as far as it is asked. */
function* inLatin1(bytes: Uint8Array): Generator<readonly [string, string]> {
  const decoder = new TextDecoder("windows-1252");
  const text = (part: string) => {
    const raw = part
      .replaceAll("+", " ")
      .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    return decoder.decode(Buffer.from(raw, "latin1"));
  };
  for (const pair of Buffer.from(bytes).toString("latin1").split("&")) {
    const equals = pair.indexOf("=");
    if (equals >= 0) yield [text(pair.slice(0, equals)), text(pair.slice(equals + 1))];
    else if (pair !== "") yield [text(pair), ""];
  }
}
