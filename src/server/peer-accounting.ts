import { parseAddressRanges } from "../net/address-ranges.ts";
import { addressShare } from "../net/address-share.ts";
import { resolveClientAddress } from "../net/client-address.ts";
import type { LoopBudget } from "../net/loop-budget.ts";
import type { PeerAccounting } from "../transport/transport.ts";
import type { Config } from "./config/schema.ts";

/** Event-loop milliseconds of a TLS handshake: 0.7 with a P-256 key, 1 with a 2048-bit RSA key. */
export const handshakeMs = 1;
/** Event-loop milliseconds of a refused request. */
const refusedMs = 0.1;

/**
 * Charges addresses for transport work that precedes the gateway's own checks. A trusted proxy is never charged for its
 * own connections: otherwise everybody behind it would be refused too.
 */
export function createPeerAccounting(
  config: Pick<Config, "trusted_proxies">,
  loopBudget: LoopBudget,
): PeerAccounting {
  const trusted = parseAddressRanges(config.trusted_proxies);
  const charge = (address: string, ms: number) => {
    if (!trusted.includes(address)) loopBudget.charge(addressShare(address), ms);
  };
  return {
    refused(address, header) {
      const client = resolveClientAddress(address, header, trusted);
      if (client.forwarding === "none") charge(address, refusedMs);
      else loopBudget.charge(addressShare(client.address), refusedMs);
    },
    handshake: (address) => charge(address, handshakeMs),
    upgraded: (address) => charge(address, -handshakeMs),
    accepts: (address) =>
      trusted.includes(address) || !loopBudget.persistsDespiteRefusal(addressShare(address)),
  };
}
