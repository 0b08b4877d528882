import { BlockList, isIP } from "node:net";

/**
 * Networks that the public Internet does not reach (IANA's special-purpose registries). BlockList compares an IPv6
 * address that contains an IPv4 one (::ffff:0:0/96) with the IPv4 networks too.
 */
const special: readonly (readonly [network: string, prefix: number, family: "ipv4" | "ipv6"])[] = [
  ["0.0.0.0", 8, "ipv4"],
  ["10.0.0.0", 8, "ipv4"],
  ["100.64.0.0", 10, "ipv4"],
  ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.0.0.0", 24, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["198.18.0.0", 15, "ipv4"],
  ["224.0.0.0", 4, "ipv4"],
  ["240.0.0.0", 4, "ipv4"],
  ["::", 127, "ipv6"],
  // Both translate to any IPv4 address, also to an internal one.
  ["64:ff9b::", 96, "ipv6"],
  ["64:ff9b:1::", 48, "ipv6"],
  ["2002::", 16, "ipv6"],
  ["fc00::", 7, "ipv6"],
  ["fe80::", 10, "ipv6"],
  ["ff00::", 8, "ipv6"],
];
const internal = new BlockList();
for (const [network, prefix, family] of special) internal.addSubnet(network, prefix, family);

/** True for an address that belongs to the public Internet. Anything that is not an address is not public. */
export function isPublicAddress(address: string): boolean {
  const [plain = ""] = address.split("%", 1);
  const family = isIP(plain);
  return family !== 0 && !internal.check(plain, family === 4 ? "ipv4" : "ipv6");
}
