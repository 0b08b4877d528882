import { SOCKET_PATH } from "../../protocol/features.ts";

/** The socket's address under a base address. Query and fragment are dropped: nothing secret belongs there. */
export function socketUrl(base: string): string {
  const url = new URL(base);
  url.protocol = url.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(url.protocol)) throw new TypeError("url must be http(s):// or ws(s)://");
  if (!url.pathname.endsWith(SOCKET_PATH)) url.pathname = url.pathname.replace(/\/$/, "") + SOCKET_PATH;
  url.search = "";
  url.hash = "";
  return url.href;
}
