/** Characters that directories ignore when they compare, so that many spellings would be one name. */
const ignored = /[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\p{Co}\p{Surrogate}\p{Zl}\p{Zp}\uFFFC]/u;

/** Whether a directory may be asked for this name. */
export function isAskable(username: string): boolean {
  return username !== "" && !ignored.test(username);
}

/** Replaces `{name}` by its escaped value. A function, because a string would have `$` patterns. */
export function filled(template: string, placeholder: string, value: string): string {
  return template.replaceAll(`{${placeholder}}`, () => value);
}

/** A value in a DN (RFC 4514 section 2.4). Everything in ASCII that could mean something is written as a hex pair. */
export function escapedForDn(value: string): string {
  return value.replaceAll(/[^A-Za-z0-9._@\u0080-\u{10FFFF}-]/gu, hexPair);
}

/** A value in a search filter (RFC 4515 section 3). */
export function escapedForFilter(value: string): string {
  return value.replaceAll(/[^A-Za-z0-9._@,=\u0080-\u{10FFFF}-]/gu, hexPair);
}

function hexPair(character: string): string {
  return `\\${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** One spelling of a DN: no spaces around separators, attribute names in lower case. The values stay. */
export function spelledDn(dn: string): string {
  return dn
    .replaceAll(/\s*(?<!\\)([,+=])\s*/g, "$1")
    .trim()
    .replaceAll(
      /(^|(?<!\\)[,+])([^=,+]+)=/g,
      (_, before: string, name: string) => `${before}${name.toLowerCase()}=`,
    );
}

/** For the comparison of two DNs of groups, or two names: most directories ignore case in them. */
export function comparable(name: string): string {
  return spelledDn(name).normalize("NFKC").toLowerCase();
}
