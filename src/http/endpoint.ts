import type { ClientAddress } from "../net/client-address.ts";

/** What HTTP endpoints know beside the request. The transport sets it, never a header. */
export interface HttpPeer {
  /** The TCP peer's address, IPv4-mapped IPv6 as IPv4, no zone. */
  readonly address: string;
  /** The client, if the request gate has determined it already. */
  readonly client?: ClientAddress;
}

/** A request before its body is read. */
export interface HttpHead {
  /** The path as it was sent, without the query. */
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
      /** Call it once, when the request was answered or its connection is gone. */
      leave(): void;
      /** Charges the address with the event-loop time that reading the body took, ms. */
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

/**
 * A request whose body has come. Not the web's Request: to build one, and to read its body back, costs more than the rest of
 * a small request.
 */
export interface HttpRequest {
  readonly method: string;
  /** Its path is the one that was sent; its host the Host header's, or `localhost` where that is none. */
  readonly url: URL;
  readonly headers: {
    /** `name` in lower case; a repeated header is joined by ", " (cookie by "; "). */
    get(name: string): string | undefined;
  };
  /** Empty if there is none. Within the transport's limit. */
  readonly body: Uint8Array;
}

/** Names are in lower case. A list is one field for each value. */
export type HttpHeaders = Readonly<Record<string, string | string[]>>;

/** Of the answer to HEAD, and with 204 and 304, the transport sends no body. It computes Content-Length itself. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: HttpHeaders;
  readonly body: string | Uint8Array;
}

/** All HTTP of the gateway as one function. Never rejects: a defect is a 500 answer. */
export type HttpHandler = (request: HttpRequest, peer: HttpPeer) => Promise<HttpResponse>;
