import { BlockList, isIP } from "node:net";

const local = new BlockList();
local.addSubnet("127.0.0.0", 8, "ipv4");
local.addSubnet("10.0.0.0", 8, "ipv4");
local.addSubnet("172.16.0.0", 12, "ipv4");
local.addSubnet("192.168.0.0", 16, "ipv4");
local.addSubnet("169.254.0.0", 16, "ipv4");
local.addAddress("::1", "ipv6");
local.addSubnet("fe80::", 10, "ipv6");
local.addSubnet("fd00::", 8, "ipv6");

/**
 * True if a local-only user may authenticate from `address`: loopback, RFC 1918, link-local, fd00::/8, and these as
 * IPv4-mapped IPv6 (Home Assistant's `is_local`). Null (unknown) and anything that is not an address are not local.
 */
export function isLocalAddress(address: string | null): boolean {
  if (address === null) return false;
  const [plain = ""] = address.split("%", 1);
  const family = isIP(plain);
  return family !== 0 && local.check(plain, family === 4 ? "ipv4" : "ipv6");
}
