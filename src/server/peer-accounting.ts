import { parseAddressRanges } from "../net/address-ranges.ts";
import { addressShare } from "../net/address-share.ts";
import { resolveClientAddress } from "../net/client-address.ts";
import type { LoopBudget } from "../net/loop-budget.ts";
import type { PeerAccounting } from "../transport/transport.ts";
import type { Config } from "./config/schema.ts";

/** Milliseconds of the loop that a TLS handshake takes: 0.7 with a P-256 key, 1 with an RSA key of 2048 bits. */
export const handshakeMs = 1;
/** The same of a refused request. */
const refusedMs = 0.1;

/**
 * Charges addresses for what the transport does before anything of ours is asked. A trusted proxy is never charged for
 * what it does itself: it would be refused together with everybody behind it.
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
    accepts: (address) => trusted.includes(address) || !loopBudget.persists(addressShare(address)),
  };
}
