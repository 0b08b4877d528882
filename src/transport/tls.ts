import { constants } from "node:crypto";
import type { SecureContextOptions, TLSSocket } from "node:tls";

import { channelBinding } from "../../protocol/scram.ts";

/** A certificate chain, the server's own first, and the private key of that one: both PEM. */
export interface TlsPair {
  readonly certificate: Buffer;
  readonly key: Buffer;
}

/** Longest time between a TCP connection and the end of its TLS handshake, in milliseconds; nothing extends it. */
export const HANDSHAKE_TIMEOUT_MS = 8000;

/**
 * TLS 1.2 or 1.3; a TLS 1.2 client that asks for another handshake on the same connection does not get it (CVE-2011-1473:
 * it would cost the server more than the client). OpenSSL's defaults, as Node has them, for the rest.
 */
export function secureContextOptions({ certificate, key }: TlsPair): SecureContextOptions {
  return {
    cert: certificate,
    key,
    minVersion: "TLSv1.2",
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/**
 * The `tls-exporter` value of RFC 9266. Only of TLS 1.3: with 1.2 it would need the extended master secret, and Node does
 * not tell whether a connection has that. Undefined also if the connection has ended.
 */
export function channelBindingOf(socket: TLSSocket): Uint8Array | undefined {
  if (socket.destroyed || socket.getProtocol() !== "TLSv1.3") return undefined;
  const { bytes, label } = channelBinding;
  return socket.exportKeyingMaterial(bytes, label, Buffer.alloc(0));
}

/** The error of a transport that is asked for TLS and has none. */
export function withoutTls(transport: string): Error {
  return new Error(`transport ${transport} has no TLS`);
}
