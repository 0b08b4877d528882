import type { Server } from "node:http";
import type { Socket } from "node:net";
import { plainAddress } from "../net/address-text.ts";
import type { PeerAccounting } from "./transport.ts";

/**
 * The TCP connections under TLS, which node:https does not know during their handshake. A handshake costs the event
 * loop more than most requests. So it is charged, also if the client breaks it off. An address that owes too much
 * gets none.
 */
export class TlsHandshakes {
  readonly #connections = new Set<Socket>();
  /**
   * Those whose handshake has not ended, by the client's address and port: the TLS socket has no reference to them.
   */
  readonly #unfinished = new Map<string, Socket>();
  readonly #accounting: PeerAccounting | undefined;

  constructor(server: Server, accounting: PeerAccounting | undefined) {
    this.#accounting = accounting;
    server.on("connection", (raw) => this.#begun(raw));
    server.on("secureConnection", (secure: Socket) => this.#finished(endOf(secure)));
  }

  destroyAll(): void {
    for (const raw of this.#connections) raw.destroy();
  }

  #begun(raw: Socket): void {
    const end = endOf(raw);
    if (this.#accounting?.accepts(plainAddress(raw.remoteAddress)) === false) return void raw.destroy();
    this.#connections.add(raw);
    this.#unfinished.set(end, raw);
    raw.once("close", () => {
      this.#connections.delete(raw);
      // A connection without a byte cost no more than any other. A load balancer opens it to see whether the port is
      // open.
      if (this.#unfinished.get(end) === raw && raw.bytesRead === 0) this.#unfinished.delete(end);
      else this.#finished(end);
    });
  }

  #finished(end: string): void {
    const raw = this.#unfinished.get(end);
    if (raw === undefined) return;
    this.#unfinished.delete(end);
    this.#accounting?.handshake(plainAddress(raw.remoteAddress));
  }
}

function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
