/** A comment, an element whose content is text, or a tag. Sticky: it matches where the scan is, or not at all. */
const comment = /<!--/y;
const textElement =
  /<(script|style|textarea|title|template|noscript|xmp|iframe|noembed|noframes|plaintext)(?=[\s/>])/iy;
const linkTag = /<link(?=[\s/>])/iy;
const otherTag = /<(?:\/?[a-z]|!doctype[\s>])/iy;
/** What only browsers read to its end: other declarations, and end tags without a name. */
const oddity = /<[/!?]/y;
/** Browsers end such a comment elsewhere. */
const oddComment = /^-?>|--!>/;
const attribute = /[\s/]*([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>=`]+)))?/y;
const tagEnd = /[\s/]*>/y;

export type Attributes = ReadonlyMap<string, string>;

/**
 * The attributes of each `<link>` of an HTML page, names in lower case. Those in comments, in scripts and in other elements
 * whose content is no markup, and in values of attributes, are none. Stricter than a browser: the scan ends at the first tag
 * that is cut off or malformed, so what a browser would see otherwise is not found. Takes time in proportion to the text.
 */
export function linksIn(html: string): readonly Attributes[] {
  const links: Attributes[] = [];
  for (let at = html.indexOf("<"); at !== -1; at = html.indexOf("<", at)) {
    if (endOf(comment, html, at) !== undefined) {
      const end = html.indexOf("-->", at + 4);
      if (end === -1 || oddComment.test(html.slice(at + 4, end + 3).replace(/-->$/, ""))) return links;
      at = end + 3;
      continue;
    }
    if (endOf(otherTag, html, at) === undefined) {
      if (endOf(oddity, html, at) !== undefined) return links;
      at += 1;
      continue;
    }
    const tag = readTag(html, at);
    if (tag === undefined) return links;
    if (endOf(linkTag, html, at) !== undefined) links.push(tag.attributes);
    const after = afterText(html, at, tag.end);
    if (after === undefined) return links;
    at = after;
  }
  return links;
}

/** Where the scan goes on after a tag; behind its content if that is text. Undefined: the content does not end. */
function afterText(html: string, at: number, tagEnds: number): number | undefined {
  textElement.lastIndex = at;
  const name = textElement.exec(html)?.[1];
  if (name === undefined) return tagEnds;
  const closing = new RegExp(`</${name}[\\s/>]`, "gi");
  closing.lastIndex = tagEnds;
  const end = name.toLowerCase() === "plaintext" ? undefined : closing.exec(html)?.index;
  // A comment in a script can hide the script's end from a browser.
  return end === undefined || html.slice(tagEnds, end).includes("<!--") ? undefined : end;
}

/** Undefined for a tag that is cut off or malformed. */
function readTag(
  html: string,
  start: number,
): { readonly attributes: Attributes; readonly end: number } | undefined {
  const attributes = new Map<string, string>();
  let at = start + 1;
  // Its name, with the slash of an end tag.
  while (at < html.length && !/[\s>]/.test(html.charAt(at))) at += 1;
  for (;;) {
    const end = endOf(tagEnd, html, at);
    if (end !== undefined) return { attributes, end };
    attribute.lastIndex = at;
    const [, name, double, single, bare] = attribute.exec(html) ?? [];
    if (name === undefined) return undefined;
    at = attribute.lastIndex;
    const key = name.toLowerCase();
    // As in a browser, the first of two counts.
    if (!attributes.has(key)) attributes.set(key, double ?? single ?? bare ?? "");
  }
}

function endOf(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}
