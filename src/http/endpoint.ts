/** What HTTP endpoints know beside the Request: set by the transport, never by a header. */
export interface HttpPeer {
  /** The TCP peer's address, IPv4-mapped IPv6 as IPv4, no zone. */
  readonly address: string;
}

/** All HTTP of the gateway, as one function (hono behind it). Never rejects: a fault is a 500 answer. */
export type HttpHandler = (request: Request, peer: HttpPeer) => Promise<Response>;
