import type { CheckUpgrade } from "../connection/socket.ts";
import type { HttpGate, HttpHandler } from "../http/endpoint.ts";
import type { HeaderLookup } from "../net/client-address.ts";
import type { TlsPair } from "./tls.ts";

/** What a transport does for TCP peers before it asks anybody. Addresses are the TCP peers'. */
export interface PeerAccounting {
  /**
   * A request was refused by the transport or by `admit`, or it was none. `header`: of what could be read of it. Not told of
   * what the gate refused, nor by a library that gives up such a connection without a word.
   */
  refused(address: string, header: HeaderLookup): void;
  /** A TLS handshake has ended, well or not. */
  handshake(address: string): void;
  /** The connection of an earlier handshake became a WebSocket: from now on its handler counts what it costs. */
  upgraded(address: string): void;
  /** False: a connection of this peer is not worth a handshake and is destroyed. */
  accepts(address: string): boolean;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Only upgrades of this path are asked about; every other request is HTTP. */
  readonly socketPath: string;
  readonly admit: CheckUpgrade;
  readonly http: HttpHandler;
  /** Asked before the body of an HTTP request is read; everybody is let in without it. */
  readonly httpGate?: HttpGate;
  /** Told of work for strangers that neither `admit` nor the gate sees. */
  readonly accounting?: PeerAccounting;
  /** Largest WebSocket message in bytes; a larger one closes with 1009. */
  readonly maxMessageBytes: number;
  /** Largest HTTP request body in bytes; a larger one is answered 413. */
  readonly maxBodyBytes: number;
  /**
   * How long an HTTP connection is kept without a request, in milliseconds; 75 s by default. A transport that cannot keep
   * one so long ends each connection after its answer.
   */
  readonly keepAliveMs?: number;
  /** Everything on the port is TLS; without it nothing is. */
  readonly tls?: TlsPair | undefined;
}

export interface Listener {
  /** The port that it listens on. */
  readonly port: number;
  /** Open sockets. */
  readonly sockets: number;
  /**
   * Handshakes from now on use this pair; open connections keep theirs. Throws when it listens without TLS or the pair
   * cannot be used: the old one goes on.
   */
  renewTls(pair: TlsPair): void;
  /** Stops accepting; open sockets and running HTTP requests go on. */
  stopAccepting(): void;
  /** Closes what is left with 1001, waits for at most `graceMs`, destroys the rest, frees the port. */
  close(graceMs: number): Promise<void>;
}

/**
 * Sockets and HTTP on one port. Compression is never negotiated; ambiguous HTTP framing (two Content-Length that
 * differ, Content-Length with Transfer-Encoding, a body on an upgrade) is answered 400 and the connection closed
 * before any handler runs.
 */
export interface Transport {
  readonly name: "ws" | "uws" | "memory";
  /** Rejects when the port cannot be had or there is no TLS for `tls`, with the reason in words. */
  listen(options: ListenOptions): Promise<Listener>;
}
