import { isIPv4, isIPv6 } from "node:net";

/**
 * The ids of clients that nobody has registered are URLs (IndieAuth section 3.2), with Home Assistant's rules. The
 * origin of the client id decides where a code may be sent.
 *
 * Stricter than Home Assistant in what browsers never send: printable ASCII only, no backslash, no empty host or
 * port, and IP addresses in their canonical form only.
 *
 * More permissive than IndieAuth: any IP address may be a host, because a page that was opened by a public or VPN
 * address uses that address as its client id. Home Assistant accepts such an address only with a port.
 */
interface ClientUrl {
  readonly scheme: string;
  /** Host and port in lower case, as written: `https://a` and `https://a:443` are different origins here. */
  readonly authority: string;
  readonly path: string;
}

const maxUrlLength = 2048;
const urlShape = /^(https?):\/\/([^/?#@]+)(\/[^?#]*)?(\?[^#]*)?$/i;
const authorityShape = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?$/;
/** These stand for every address of a machine, so they identify none. */
const unspecified: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);
const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/** Home Assistant's apps: their redirect URIs are not on the origin of their client id. */
const appRedirects: Readonly<Record<string, readonly string[]>> = {
  "https://home-assistant.io/iOS": ["homeassistant://auth-callback"],
  "https://home-assistant.io/android": [
    "homeassistant://auth-callback",
    "https://wear.googleapis.com/3p_auth/io.homeassistant.companion.android",
    "https://wear.googleapis-cn.com/3p_auth/io.homeassistant.companion.android",
  ],
};

/**
 * The ids of registered clients are no URLs. They are shorter than any code or token, so that a log may repeat them:
 * whoever sends a secret in the wrong place does not find it there.
 */
const registeredShape = /^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$/;

/** True for the id that a registered client may have. NOT checked: whether there is one. */
export function isRegisteredId(clientId: string): boolean {
  // `gatehouse` stands for "no client" in access tokens.
  return registeredShape.test(clientId) && clientId !== "gatehouse";
}

/** True for everything that may stand where a client id is expected. */
export function isClientId(text: string): boolean {
  return isRegisteredId(text) || verifyClientId(text);
}

/** True for a URL that is allowed as a client id. */
export function verifyClientId(clientId: string): boolean {
  return parseClientId(clientId) !== undefined;
}

/**
 * True if a code for `clientId` may be sent to `redirectUri`: it has the same scheme, host and port, or is listed for
 * a Home Assistant app. Nothing is fetched: neither `<link rel="redirect_uri">` nor a client metadata document.
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

/** Browsers parse a host as an IPv4 address if its last label is a number (URL standard, "ends in a number"). */
function isNumeric(host: string): boolean {
  const last = host.replace(/\.$/, "").split(".").at(-1) ?? "";
  return /^(?:[0-9]+|0x[0-9a-f]*)$/.test(last);
}

function isDomainName(host: string): boolean {
  const name = host.replace(/\.$/, "");
  return name.length <= 253 && name.split(".").every((part) => label.test(part));
}

/**
 * Includes the encodings that browsers treat as a dot segment, and a `;` after it, where Home Assistant's parser
 * stops.
 */
function hasDotSegment(path: string): boolean {
  const segments = path.replaceAll(/%2e/gi, ".").split("/");
  return segments.some((segment) => /^\.{1,2}(?:;|$)/.test(segment));
}
