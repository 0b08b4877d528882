import { isIP, isIPv6, SocketAddress } from "node:net";
import { plainAddress } from "./address-text.ts";

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

const ipv4WithPort = /^([0-9.]+):[0-9]{1,5}$/;
const bracketed = /^\[([0-9a-f:.]+)\](?::[0-9]{1,5})?$/i;

/**
 * The IP address of one hop as proxies write it: bare, in brackets, with a port, or IPv4-mapped. IPv6 is returned in
 * the form of RFC 5952, so two spellings of one address are equal. Null for anything else: `unknown`, an obfuscated
 * identifier (RFC 7239 section 6.3), a zone, an octal number, an empty element.
 */
export function readHop(text: string): string | null {
  const hop = text.trim();
  const inBrackets = bracketed.exec(hop)?.[1];
  if (inBrackets !== undefined && !isIPv6(inBrackets)) return null;
  const address = inBrackets ?? ipv4WithPort.exec(hop)?.[1] ?? hop;
  if (isIP(address) === 0 || address.includes("%")) return null;
  return isIPv6(address) ? plainAddress(new SocketAddress({ address, family: "ipv6" }).address) : address;
}
