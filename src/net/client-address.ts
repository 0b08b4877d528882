import type { AddressRanges } from "./address-ranges.ts";
import { readForwarded } from "./forwarded-header.ts";
import { readHop } from "./hop.ts";

export interface ClientAddress {
  /**
   * The client's IP address, or null if it is not known. Null is never local, is in no range, and has a share of limits
   * of its own.
   */
  readonly address: string | null;
  /**
   * `none`: the request carries no trace of a proxy. `trusted`: read from a trusted proxy's header. `unreadable`: a
   * trusted proxy sent nothing that names the client. `untrusted`: a peer that is no trusted proxy sent proxy headers.
   * With the last two the address is null.
   */
  readonly forwarding: "none" | "trusted" | "unreadable" | "untrusted";
}

/** Headers by lower-case name; a repeated header is joined by ", ". */
export type HeaderLookup = (name: string) => string | null | undefined;

/** Headers that only a proxy adds. One of them is enough: the TCP peer may be a proxy that nobody configured. */
const proxyHeaders = [
  "x-forwarded-for",
  "forwarded",
  "x-real-ip",
  "via",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-server",
  "x-forwarded-ssl",
  "x-forwarded",
  "forwarded-for",
  "x-original-forwarded-for",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-envoy-external-address",
  "true-client-ip",
  "fastly-client-ip",
  "fly-client-ip",
  "cf-connecting-ip",
  "cf-ray",
];
/** Trusted hops that are followed from the right, and bytes of a header that are read. */
const maxHops = 32;
const maxHeaderLength = 8192;

/**
 * Who sent a request, for HTTP and for upgrades alike.
 *
 * A peer that is no trusted proxy speaks for nobody. If it sends proxy headers it may be a proxy that is missing in the
 * configuration, so its own address is not the client's: the address is not known.
 *
 * A trusted proxy's `X-Forwarded-For` or `Forwarded` (RFC 7239) is read from the right. Trusted hops are skipped, and the
 * first other hop is the client. Whatever stands further left was written by strangers and is not looked at. If all hops
 * are trusted the left-most is the client. If the hop that decides is not an address, the address is not known.
 *
 * If both headers are there they must agree: most proxies append to one of them and pass the other on as a stranger
 * wrote it.
 */
export function resolveClientAddress(
  peerAddress: string,
  header: HeaderLookup,
  trusted: AddressRanges,
): ClientAddress {
  if (!proxyHeaders.some((name) => isPresent(header(name))))
    return { address: peerAddress === "" ? null : peerAddress, forwarding: "none" };
  if (!trusted.includes(peerAddress)) return { address: null, forwarding: "untrusted" };
  const address = forwardedClient(header, trusted);
  return address === null ? { address, forwarding: "unreadable" } : { address, forwarding: "trusted" };
}

function forwardedClient(header: HeaderLookup, trusted: AddressRanges): string | null {
  const list = header("x-forwarded-for");
  const forwarded = header("forwarded");
  const answers: (string | null)[] = [];
  if (isPresent(list)) answers.push(isReadable(list) ? clientOf(list.split(","), trusted) : null);
  if (isPresent(forwarded))
    answers.push(isReadable(forwarded) ? clientOf(readForwarded(forwarded), trusted) : null);
  const [first = null, second = first] = answers;
  return first === second ? first : null;
}

/** The first hop from the right that is not trusted; null if it, or a trusted hop's neighbour, cannot be read. */
function clientOf(hops: readonly string[], trusted: AddressRanges): string | null {
  let client: string | null = null;
  for (let skipped = 0; skipped < hops.length; skipped += 1) {
    if (skipped === maxHops) return null;
    const address = readHop(hops[hops.length - 1 - skipped] ?? "");
    if (address === null || !trusted.includes(address)) return address;
    client = address;
  }
  return client;
}

function isPresent(value: string | null | undefined): value is string {
  return value !== null && value !== undefined;
}

function isReadable(value: string): boolean {
  return value.length <= maxHeaderLength;
}
