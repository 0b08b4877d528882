import type { CheckUpgrade } from "../connection/socket.ts";
import type { HttpGate, HttpHandler } from "../http/endpoint.ts";
import type { HeaderLookup } from "../net/client-address.ts";
import type { TlsPair } from "./tls.ts";

/** Accounting of TCP peers before any handler is asked. Addresses are those of the TCP peers. */
export interface PeerAccounting {
  /**
   * The transport or `checkUpgrade` refused a request, or what came was none. `header`: of what could be read of it. Not
   * called for what the request gate refused, nor if a library drops such a connection silently.
   */
  refused(address: string, header: HeaderLookup): void;
  /** A TLS handshake has ended, successfully or not. */
  handshake(address: string): void;
  /** The connection of an earlier handshake became a WebSocket. From now on its handler counts what it costs. */
  upgraded(address: string): void;
  /** False: the peer gets no handshake, and its connection is destroyed. */
  accepts(address: string): boolean;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Upgrades of this path go to `checkUpgrade`. Every other request is HTTP. */
  readonly socketPath: string;
  readonly checkUpgrade: CheckUpgrade;
  readonly http: HttpHandler;
  /** Asked before the body of an HTTP request is read. Without it, every request is let in. */
  readonly httpGate?: HttpGate;
  /** Called for work that neither `checkUpgrade` nor the request gate sees. */
  readonly accounting?: PeerAccounting;
  /** The largest WebSocket message in bytes. A larger one closes with 1009. */
  readonly maxMessageBytes: number;
  /** The largest HTTP request body in bytes. A larger one is answered 413. */
  readonly maxBodyBytes: number;
  /**
   * How long an HTTP connection is kept without a request, in milliseconds; 75 s by default. A transport that cannot keep
   * one so long ends each connection after its answer.
   */
  readonly keepAliveMs?: number;
  /** With it, everything on the port is TLS. Without it, nothing is. */
  readonly tls?: TlsPair | undefined;
}

export interface Listener {
  /** The port that it listens on. */
  readonly port: number;
  /** Open sockets. */
  readonly sockets: number;
  /**
   * New handshakes use this pair; open connections keep theirs. Throws if it listens without TLS, or if the pair
   * cannot be used: then the old one stays.
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
