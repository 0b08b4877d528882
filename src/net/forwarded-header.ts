/** One parameter, or nothing (RFC 7239 section 4): a token, `=`, and a token or a quoted string; then the separator. */
const parameter =
  /[ \t]*(?:([!#$%&'*+.^_`|~0-9a-z-]+)=(?:([!#$%&'*+.^_`|~0-9a-z-]+)|"((?:[\t !#-[\]-~]|\\[\t -~])*)")[ \t]*)?(;|,|$)/iy;

/**
 * The `for` of each element of a `Forwarded` header, in order; "" if an element has none or more than one. The values
 * are not parsed here. A header that violates the grammar gives `[""]`: an attacker may have opened a quote that
 * swallows what the proxy appended.
 */
export function readForwarded(value: string): readonly string[] {
  const hops: string[] = [];
  let hop: string | undefined;
  parameter.lastIndex = 0;
  for (;;) {
    const match = parameter.exec(value);
    if (match === null) return [""];
    const [, name = "", token, quoted = "", end] = match;
    if (name.toLowerCase() === "for") hop = hop === undefined ? (token ?? unescaped(quoted)) : "";
    if (end === ";") continue;
    hops.push(hop ?? "");
    hop = undefined;
    if (end === "") return hops;
  }
}

function unescaped(quoted: string): string {
  return quoted.replaceAll(/\\(.)/g, "$1");
}
