import { isIPv4, isIPv6 } from "node:net";

/**
 * Client ids are URLs (IndieAuth section 3.2), with Home Assistant's rules: nobody registers a client, the client id
 * says by its origin where a code may be sent.
 *
 * Stricter than Home Assistant where a browser never differs: printable ASCII only, no backslash, no empty host or
 * port, and an IP address in its plain spelling only.
 *
 * Wider than IndieAuth: any IP address may be a host. A page that was opened by a public address, or by one of a VPN, has
 * to name itself. Home Assistant takes such an address with a port only.
 */
interface ClientUrl {
  readonly scheme: string;
  /** Host and port in lower case, as written: `https://a` and `https://a:443` are two origins here. */
  readonly authority: string;
  readonly path: string;
}

const maxUrlLength = 2048;
const urlShape = /^(https?):\/\/([^/?#@]+)(\/[^?#]*)?(\?[^#]*)?$/i;
const authorityShape = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?$/;
/** Names every address of a machine, so none. */
const unspecified: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);
const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/** The apps of Home Assistant: their redirect URIs are not on their client id's origin. */
const appRedirects: Readonly<Record<string, readonly string[]>> = {
  "https://home-assistant.io/iOS": ["homeassistant://auth-callback"],
  "https://home-assistant.io/android": [
    "homeassistant://auth-callback",
    "https://wear.googleapis.com/3p_auth/io.homeassistant.companion.android",
    "https://wear.googleapis-cn.com/3p_auth/io.homeassistant.companion.android",
  ],
};

/** True for a URL that may name a client. */
export function verifyClientId(clientId: string): boolean {
  return parseClientId(clientId) !== undefined;
}

/**
 * True when a code for `clientId` may be sent to `redirectUri`: one of the same scheme, host and port, or one that
 * is listed for a Home Assistant app. Nothing is fetched: neither `<link rel="redirect_uri">` nor a client metadata
 * document.
 */
export function verifyRedirectUri(clientId: string, redirectUri: string): boolean {
  const client = parseClientId(clientId);
  if (client === undefined) return false;
  if (Object.hasOwn(appRedirects, clientId) && appRedirects[clientId]?.includes(redirectUri)) return true;
  const redirect = parseUrl(redirectUri);
  return redirect?.scheme === client.scheme && redirect.authority === client.authority;
}

function parseClientId(clientId: string): ClientUrl | undefined {
  const url = parseUrl(clientId);
  return url !== undefined && !hasDotSegment(url.path) ? url : undefined;
}

function parseUrl(text: string): ClientUrl | undefined {
  if (text.length > maxUrlLength || !/^[!-[\]-~]+$/.test(text)) return undefined;
  const [, scheme = "", authority = "", path = "/"] = urlShape.exec(text) ?? [];
  const url = { scheme: scheme.toLowerCase(), authority: authority.toLowerCase(), path };
  return isAllowedAuthority(url.authority) ? url : undefined;
}

function isAllowedAuthority(authority: string): boolean {
  const [, host = "", port] = authorityShape.exec(authority) ?? [];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return false;
  if (host.startsWith("[")) return isIPv6(host.slice(1, -1)) && !unspecified.has(host.slice(1, -1));
  return isNumeric(host) ? isIPv4(host) && !unspecified.has(host) : isDomainName(host);
}

/** Browsers take a host for an IPv4 address when its last label is a number (URL standard, "ends in a number"). */
function isNumeric(host: string): boolean {
  const last = host.replace(/\.$/, "").split(".").at(-1) ?? "";
  return /^(?:[0-9]+|0x[0-9a-f]*)$/.test(last);
}

function isDomainName(host: string): boolean {
  const name = host.replace(/\.$/, "");
  return name.length <= 253 && name.split(".").every((part) => label.test(part));
}

/** Also in the spellings that browsers take for one, and before a `;`, where Home Assistant's parser stops. */
function hasDotSegment(path: string): boolean {
  const segments = path.replaceAll(/%2e/gi, ".").split("/");
  return segments.some((segment) => /^\.{1,2}(?:;|$)/.test(segment));
}
