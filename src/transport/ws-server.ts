import { createServer, IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import { MAX_HEADER_BYTES } from "./header-fields.ts";
import { HANDSHAKE_TIMEOUT_MS, secureContextOptions, type TlsPair, withoutTls } from "./tls.ts";
import { asksForWebSocket } from "./upgrade.ts";

const HEADERS_TIMEOUT_MS = 5000;
/** Longest time that a request may take to arrive; after it 408. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Longer than the 60 s after which most load balancers give up an idle connection: else they send into its end. */
const KEEP_ALIVE_MS = 75_000;
/** How often node:http looks for requests past their time-out. */
const TIMEOUT_SWEEP_MS = 1000;

/**
 * node:http takes every request with an Upgrade header out of HTTP once there is an upgrade listener. Only an offer
 * of WebSocket is taken here; any other is passed over and its request served. A request on a connection that was
 * destroyed counts as an upgrade: nothing else of the public interface makes the parser skip the rest of the bytes that
 * it was given, which can be thousands of requests.
 */
class OfferedMessage extends IncomingMessage {
  declare private offered: boolean | null;

  get upgrade(): boolean {
    if (this.socket.destroyed) return true;
    if (this.offered !== true) return false;
    const { upgrade, connection } = this.headers;
    this.offered = this.method === "CONNECT" || asksForWebSocket({ upgrade, connection });
    return this.offered;
  }

  set upgrade(offered: boolean | null) {
    this.offered = offered;
  }
}

/**
 * node:http, or node:https, with the bounds of the transport; nothing listens yet. `keepAliveMs`: how long a connection
 * may be without a request after an answer.
 */
export function createBoundedServer(tls: TlsPair | undefined, keepAliveMs = KEEP_ALIVE_MS): Server {
  const options = {
    IncomingMessage: OfferedMessage,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_SWEEP_MS,
    keepAliveTimeout: keepAliveMs,
    noDelay: true,
    insecureHTTPParser: false,
    // Refused by the listener, in the words of every other refusal.
    requireHostHeader: false,
  } as const;
  const server =
    tls === undefined
      ? createServer(options)
      : createTlsServer({
          ...options,
          ...secureContextOptions(tls),
          handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
          ALPNProtocols: ["http/1.1"],
        });
  // Node would leave fields beyond its limit out in silence; HeaderFields counts them and refuses.
  server.maxHeadersCount = 0;
  return server;
}

/** See `Listener.renewTls`. */
export function renewTls(server: Server, pair: TlsPair): void {
  if (!(server instanceof TlsServer)) throw withoutTls("ws, as it listens now,");
  server.setSecureContext(secureContextOptions(pair));
}
