/** Says whether a browser page of this origin may open a socket. `origin` undefined: no browser, or an old one. */
export type OriginPolicy = (origin: string | undefined, host: string | undefined) => boolean;

/**
 * RFC 6455 section 10.2. Without a list only pages of the gateway's own host (as the Host header names it, either
 * scheme: TLS may end before us) may connect; `*` lets all in. Nothing here protects a session: no cookie counts on the
 * socket, and a page needs a token or a login as anybody does. An absent Origin is allowed for that reason.
 *
 * Origins are compared as browsers write them (scheme, host, port; lower case, no default port), byte for byte.
 * Throws `TypeError` for a list entry that no browser would send.
 */
export function createOriginPolicy(allowed: readonly string[]): OriginPolicy {
  for (const origin of allowed) if (!isOrigin(origin)) throw new TypeError(`not an origin: ${origin}`);
  const listed = new Set(allowed);
  if (listed.has("*")) return () => true;
  return (origin, host) => {
    if (origin === undefined) return true;
    if (listed.has(origin)) return true;
    if (origin === "null" || host === undefined || host === "") return false;
    return origin === `https://${host}` || origin === `http://${host}`;
  };
}

function isOrigin(text: string): boolean {
  if (text === "*" || text === "null") return true;
  if (text.includes("*") || !URL.canParse(text)) return false;
  const url = new URL(text);
  // Schemes that URL does not know (app:, chrome-extension:) have the opaque origin "null" there.
  return url.origin === text || (url.origin === "null" && /^[a-z][a-z0-9+.-]*:\/\/[^/?#@]+$/.test(text));
}
