import { BlockList, isIP } from "node:net";

/**
 * A set of IP networks. It takes addresses as transports write them (no zone, no IPv4-mapped form). Null is in no
 * network.
 */
export interface AddressRanges {
  includes(address: string | null): boolean;
}

/**
 * Reads networks written as an address or as CIDR. These are refused with a reason: anything that is not an IP address,
 * a zone, a prefix of 0 (it would trust everybody), and an IPv6 network that covers all IPv4-mapped addresses.
 */
export function parseAddressRanges(networks: readonly string[]): AddressRanges {
  const list = new BlockList();
  for (const network of networks) addNetwork(list, network);
  return {
    includes: (address) => {
      if (address === null) return false;
      const version = isIP(address);
      return version !== 0 && list.check(address, version === 6 ? "ipv6" : "ipv4");
    },
  };
}

/** Why a network is refused; undefined if it is valid. */
export function addressRangeProblem(network: string): string | undefined {
  try {
    addNetwork(new BlockList(), network);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : "is not a network";
  }
}

function addNetwork(list: BlockList, network: string): void {
  const [address = "", prefixText, ...rest] = network.split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0 || address.includes("%"))
    throw new RangeError("is not an IP address or CIDR network");
  const width = version === 6 ? 128 : 32;
  const prefix = prefixText === undefined ? width : readPrefix(prefixText, width);
  if (version === 6 && prefix < 96 && coversMappedAddresses(address, prefix))
    throw new RangeError("covers all IPv4 addresses in their IPv6 form");
  list.addSubnet(address, prefix, version === 6 ? "ipv6" : "ipv4");
}

function readPrefix(text: string, width: number): number {
  const prefix = /^[0-9]{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (!(prefix >= 0 && prefix <= width)) throw new RangeError(`has no prefix length from 1 to ${width}`);
  if (prefix === 0) throw new RangeError("covers every address");
  return prefix;
}

/** BlockList compares an IPv4 address in its mapped form too, so such a network would cover every IPv4 address. */
function coversMappedAddresses(address: string, prefix: number): boolean {
  const network = new BlockList();
  network.addSubnet(address, prefix, "ipv6");
  return network.check("::ffff:0.0.0.1", "ipv6");
}
