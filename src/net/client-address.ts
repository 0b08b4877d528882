import type { AddressRanges } from "./address-ranges.ts";
import { readForwarded, readHop } from "./forwarded-header.ts";

export interface ClientAddress {
  /**
   * The client's IP address, or null if it is unknown. Null is never local, is in no range, and has its own share of
   * limits.
   */
  readonly address: string | null;
  /**
   * `none`: the request shows no proxy. `trusted`: read from a trusted proxy's header. `unreadable`: a trusted proxy
   * sent nothing that names the client. `untrusted`: a peer that is not a trusted proxy sent proxy headers. For the
   * last two the address is null.
   */
  readonly forwarding: "none" | "trusted" | "unreadable" | "untrusted";
}

/** Headers by lower-case name; a repeated header is joined by ", ". */
export type HeaderLookup = (name: string) => string | null | undefined;

/** Headers that only a proxy adds. One is enough: the TCP peer may be a proxy that is not configured. */
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
/** How many trusted hops are followed from the right. Below: how many bytes of a header are read. */
const maxHops = 32;
const maxHeaderLength = 8192;

/**
 * Determines who sent a request, for HTTP and for upgrades alike.
 *
 * A peer that is not a trusted proxy speaks only for itself. If it sends proxy headers, it may be a proxy that the
 * configuration misses, so its own address is not the client's: the address is unknown.
 *
 * A trusted proxy's `X-Forwarded-For` or `Forwarded` (RFC 7239) is read from the right. Trusted hops are skipped, and
 * the first other hop is the client. Everything further left is unverified input and is ignored. If all hops are
 * trusted, the left-most is the client. If the deciding hop is not an address, the address is unknown.
 *
 * If both headers are present they must agree: most proxies append to one of them and pass the other on unverified.
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

/** The first hop from the right that is not trusted. Null if it, or a trusted hop before it, cannot be read. */
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
