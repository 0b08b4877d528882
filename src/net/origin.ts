import { isIP } from "node:net";

/**
 * Whether a browser page of this origin may open a socket. `origin` is undefined for clients that are no browsers.
 */
export type OriginPolicy = (origin: string | undefined, host: string | undefined) => boolean;

/**
 * RFC 6455 section 10.2. Pages of the gateway's own origin and of listed ones may connect; `*` lets all in. `own` is the
 * origin of the configured public URL. Without it the Host header says what is our own, in either scheme, because TLS may
 * end before us: then a host name that an attacker points at us (DNS rebinding) passes too.
 *
 * Nothing here protects a session: no cookie counts on the socket, and a page needs a token or a login as anybody does.
 * An absent Origin is allowed for that reason. A provider that believes an address asks `createPageTrust` too.
 *
 * Origins are compared as browsers write them (scheme, host, port; lower case, no default port), byte for byte.
 * Throws `TypeError` for a list entry that no browser would send.
 */
export function createOriginPolicy(allowed: readonly string[], own?: string): OriginPolicy {
  for (const origin of allowed) if (!isOrigin(origin)) throw new TypeError(`not an origin: ${origin}`);
  const listed = new Set(own === undefined ? allowed : [...allowed, own]);
  if (listed.has("*")) return () => true;
  return (origin, host) => {
    if (origin === undefined) return true;
    if (listed.has(origin)) return true;
    if (own !== undefined || origin === "null" || host === undefined || host === "") return false;
    return origin === `https://${host}` || origin === `http://${host}`;
  };
}

/**
 * Whether a request is certainly not one of a page that its browser's owner knows nothing of: it is no page, or one of an
 * origin that the configuration names, or of an address or `localhost` that is also the request's Host. A host name may be
 * an attacker's that was pointed here a moment ago (DNS rebinding), and `*` names nobody.
 */
export function createPageTrust(listed: readonly string[], own?: string): OriginPolicy {
  const named = new Set(listed.filter((origin) => origin !== "*"));
  return (origin, host) => {
    if (origin === undefined || named.has(origin)) return true;
    if (own !== undefined) return origin === own;
    return host !== undefined && origin.replace(/^https?:\/\//, "") === host && isFixedHost(host);
  };
}

/** Nobody can point it elsewhere. */
function isFixedHost(host: string): boolean {
  const name = host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  return isIP(name) !== 0 || name === "localhost" || name.endsWith(".localhost");
}

function isOrigin(text: string): boolean {
  if (text === "*" || text === "null") return true;
  if (text.includes("*") || !URL.canParse(text)) return false;
  const url = new URL(text);
  // Schemes that URL does not know (app:, chrome-extension:) have the opaque origin "null" there.
  return url.origin === text || (url.origin === "null" && /^[a-z][a-z0-9+.-]*:\/\/[^/?#@]+$/.test(text));
}
