import { isIP } from "node:net";

import type { AddressRanges } from "./address-ranges.ts";

export interface ClientAddress {
  /** The client's IP address as far as it is known: an untrusted peer speaks for nobody but itself. */
  readonly address: string;
  /**
   * `none`: no forwarding header was sent. `believed`: read from a trusted proxy's header. `ignored`: there was one, and
   * it was not believed. With `ignored` the address may be that of a proxy that nobody configured: nothing is granted
   * because the address looks local.
   */
  readonly forwarding: "none" | "believed" | "ignored";
}

/** Headers by lower-case name; a repeated header is joined by ", ". */
export type HeaderLookup = (name: string) => string | null | undefined;

const forwardingHeaders = ["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "cf-connecting-ip"];
const maxHops = 32;

/**
 * Who sent a request, for HTTP and for upgrades alike. Only `X-Forwarded-For` is read, only when the TCP peer is a
 * trusted proxy, from the right: trusted hops are skipped and the first other address is the client. When all hops are
 * trusted it is the left-most one. A header that holds anything but IP addresses is not believed at all, because what a
 * broken proxy meant cannot be known.
 */
export function resolveClientAddress(
  peerAddress: string,
  header: HeaderLookup,
  trusted: AddressRanges,
): ClientAddress {
  const present = forwardingHeaders.some((name) => (header(name) ?? undefined) !== undefined);
  if (!present) return { address: peerAddress, forwarding: "none" };
  const chain = trusted.includes(peerAddress) ? readChain(header("x-forwarded-for")) : undefined;
  if (chain === undefined) return { address: peerAddress, forwarding: "ignored" };
  const client = chain.findLast((hop) => !trusted.includes(hop)) ?? chain[0] ?? peerAddress;
  return { address: client, forwarding: "believed" };
}

function readChain(value: string | null | undefined): readonly string[] | undefined {
  if (value === null || value === undefined || value.length > 2048) return undefined;
  const hops = value.split(",").map((hop) => plainAddress(hop.trim()));
  if (hops.length > maxHops) return undefined;
  const chain = hops.filter((hop) => hop !== undefined);
  return chain.length === hops.length ? chain : undefined;
}

/** IPv4-mapped IPv6 as IPv4; a zone, a port or an octal number makes it no address. */
function plainAddress(text: string): string | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  const address = mapped ?? text;
  return isIP(address) !== 0 && !address.includes("%") ? address.toLowerCase() : undefined;
}
