import type { ClientAddress } from "../net/client-address.ts";

/** What HTTP endpoints know beside the Request: set by the transport, never by a header. */
export interface HttpPeer {
  /** The TCP peer's address, IPv4-mapped IPv6 as IPv4, no zone. */
  readonly address: string;
  /** Who asks, where the gate has found it out already. */
  readonly client?: ClientAddress;
}

/** A request before its body is read. */
export interface HttpHead {
  /** As it was sent, without the query. */
  readonly path: string;
  readonly method: string;
  readonly hasBody: boolean;
  /** The TCP peer's address. */
  readonly address: string;
  /** `name` in lower case; a repeated header is joined by ", ". */
  header(name: string): string | undefined;
}

export type HttpEntry =
  | {
      readonly accept: true;
      /** For the handler. */
      readonly peer: HttpPeer;
      /** Call it once, when the request was answered or is gone. */
      leave(): void;
      /** Adds what reading the body took, in milliseconds of the event loop, to what the address owes. */
      charge(ms: number): void;
    }
  | {
      readonly accept: false;
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
    };

/** Asked before the body of a request is read. Must not throw and must not wait. */
export type HttpGate = (head: HttpHead) => HttpEntry;

/** All HTTP of the gateway, as one function (hono behind it). Never rejects: a fault is a 500 answer. */
export type HttpHandler = (request: Request, peer: HttpPeer) => Promise<Response>;
