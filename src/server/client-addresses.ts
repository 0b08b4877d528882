import { parseAddressRanges } from "../net/address-ranges.ts";
import { type ClientAddress, type HeaderLookup, resolveClientAddress } from "../net/client-address.ts";
import type { Log } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import { warnOnceEach } from "../observability/warn-once-each.ts";
import type { Config } from "./config/schema.ts";

/** The client of an HTTP request or an upgrade, from its TCP peer and its headers. */
export type ClientOf = (peerAddress: string, header: HeaderLookup) => ClientAddress;

const unknownClient = "so the client's address is unknown and counts as not local";
const words = {
  untrusted: `proxy headers from a peer that is not in trusted_proxies, ${unknownClient}; add it if it is your proxy`,
  unreadable: `a trusted proxy sent no readable client address, ${unknownClient}; let it append to X-Forwarded-For or Forwarded`,
} as const;

/**
 * `resolveClientAddress` with the configured proxies. Untrusted headers are counted, and logged once for each TCP peer.
 */
export function createClientOf(parts: {
  readonly config: Pick<Config, "trusted_proxies">;
  readonly log: Pick<Log, "warn">;
  readonly metrics: Pick<Metrics, "forwardingIgnored">;
}): ClientOf {
  const trusted = parseAddressRanges(parts.config.trusted_proxies);
  const warn = warnOnceEach(parts.log);
  return (peerAddress, header) => {
    const client = resolveClientAddress(peerAddress, header, trusted);
    const { forwarding } = client;
    if (forwarding === "untrusted" || forwarding === "unreadable") {
      parts.metrics.forwardingIgnored();
      warn(`${forwarding} ${peerAddress}`, { proxy_address: peerAddress }, words[forwarding]);
    }
    return client;
  };
}
