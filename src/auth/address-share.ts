import { isIPv6 } from "node:net";

/**
 * Whose share of a bounded resource an address takes: an IPv4 address its own, an IPv6 address its /64's, because one
 * host has all of it.
 */
export function addressShare(address: string): string {
  const [plain = ""] = address.split("%", 1);
  if (!isIPv6(plain) || plain.includes(".")) return plain;
  const [left = "", right] = plain.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const gap = right === undefined ? [] : Array<string>(8 - head.length - tail.length).fill("0");
  const groups = [...head, ...gap, ...tail].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}
