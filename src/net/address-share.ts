import { isIPv6 } from "node:net";

/**
 * The share of a bounded resource that an address counts towards. An IPv4 address has its own. An IPv6 address has its
 * /64's, because one host usually controls all of it. All peers with an unknown address have one share.
 */
export function addressShare(address: string | null): string {
  if (address === null) return "unknown";
  // Nearly all addresses are IPv4: without a colon there is nothing to parse.
  if (!address.includes(":")) return withoutZone(address);
  const plain = withoutZone(address);
  if (!isIPv6(plain) || plain.includes(".")) return plain;
  const [left = "", right] = plain.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const gap = right === undefined ? [] : Array<string>(8 - head.length - tail.length).fill("0");
  const groups = [...head, ...gap, ...tail].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}

function withoutZone(address: string): string {
  const zone = address.indexOf("%");
  return zone === -1 ? address : address.slice(0, zone);
}
