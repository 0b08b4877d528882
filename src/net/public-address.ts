import { BlockList, isIP } from "node:net";

/** Networks that the public Internet does not reach (IANA's special-purpose registries). */
const special: readonly (readonly [network: string, prefix: number, family: "ipv4" | "ipv6"])[] = [
  ["0.0.0.0", 8, "ipv4"],
  ["10.0.0.0", 8, "ipv4"],
  ["100.64.0.0", 10, "ipv4"],
  ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.0.0.0", 24, "ipv4"],
  ["192.0.2.0", 24, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["198.18.0.0", 15, "ipv4"],
  ["198.51.100.0", 24, "ipv4"],
  ["203.0.113.0", 24, "ipv4"],
  ["224.0.0.0", 4, "ipv4"],
  ["240.0.0.0", 4, "ipv4"],
  // Contain IPv4 addresses: no host on the public Internet has such an address.
  ["::", 96, "ipv6"],
  ["::ffff:0:0", 96, "ipv6"],
  // Both translate to any IPv4 address, also to an internal one.
  ["64:ff9b::", 96, "ipv6"],
  ["64:ff9b:1::", 48, "ipv6"],
  ["2001::", 23, "ipv6"],
  ["2001:db8::", 32, "ipv6"],
  ["2002::", 16, "ipv6"],
  ["fc00::", 7, "ipv6"],
  ["fe80::", 10, "ipv6"],
  ["fec0::", 10, "ipv6"],
  ["ff00::", 8, "ipv6"],
];
/** A list for each family: in one, ::ffff:0:0/96 would hold every IPv4 address. */
const internal = { ipv4: new BlockList(), ipv6: new BlockList() };
for (const [network, prefix, family] of special) internal[family].addSubnet(network, prefix, family);

/** True for an address that belongs to the public Internet. Anything that is not an address is not public. */
export function isPublicAddress(address: string): boolean {
  const [plain = ""] = address.split("%", 1);
  const family = isIP(plain);
  if (family === 0) return false;
  return family === 4 ? !internal.ipv4.check(plain, "ipv4") : !internal.ipv6.check(plain, "ipv6");
}
