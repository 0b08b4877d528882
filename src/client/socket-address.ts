import { SOCKET_PATH } from "../../protocol/features.ts";

const loopback = /^(?:localhost|[^/]*\.localhost|127(?:\.[0-9]+){3}|\[::1\])(?::[0-9]+)?(?:\/|$)/i;

/**
 * The socket's address under a base address. Query and fragment are dropped, since no secret belongs there. Without a
 * scheme it uses TLS, except on loopback. Throws `TypeError` with a message for the developer.
 */
export function socketUrl(base: string): string {
  const url = parse(base);
  url.protocol = url.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(url.protocol)) throw wrong(base);
  if (!url.pathname.endsWith(SOCKET_PATH)) url.pathname = url.pathname.replace(/\/$/, "") + SOCKET_PATH;
  url.search = "";
  url.hash = "";
  return url.href;
}

function parse(base: string): URL {
  const text = base.trim();
  // "localhost:8123" would parse as a URL with the scheme "localhost:".
  const whole = text.includes("://") ? text : `${loopback.test(text) ? "http" : "https"}://${text}`;
  if (!URL.canParse(whole)) throw wrong(base);
  return new URL(whole);
}

function wrong(base: string): TypeError {
  return new TypeError(`not a gateway address: ${base.slice(0, 200)} (http://, https://, ws:// or wss://)`);
}
