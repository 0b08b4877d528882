import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { closeCodes } from "../../protocol/close-codes.ts";
import { addressOfBytes } from "../net/address-text.ts";
import { HeaderFields } from "./header-fields.ts";
import { type RequestHead, requestRefusal } from "./http-exchange.ts";
import { listenError } from "./listen-error.ts";
import type { Refusal } from "./refusal.ts";
import { type TlsPair, withoutTls } from "./tls.ts";
import type { Listener, ListenOptions, Transport } from "./transport.ts";
import { Idle } from "./until-idle.ts";
import { asksForWebSocket, decideUpgrade } from "./upgrade.ts";
import { serveUwsRequest, UwsExchange } from "./uws-http.ts";
import {
  loadUws,
  type UwsApp,
  type UwsBehavior,
  type UwsContext,
  type UwsLibrary,
  type UwsListenSocket,
  type UwsRequest,
  type UwsResponse,
  type UwsWebSocket,
} from "./uws-library.ts";
import { UwsSocket, type UwsSocketData, type UwsSocketOwner } from "./uws-socket.ts";

const noData = {};

/** How long close frames may take to leave before the connections under them are destroyed, in milliseconds. */
const MAX_LINGER_MS = 500;

export interface UwsTransportOptions {
  /** Faults of handlers, which close their socket with 1011 or answer 500. Dropped when this is not given. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Sockets and HTTP by uWebSockets.js, without TLS. Rejects, naming the package, when it is absent or not native. Other
 * than on `ws`: a frame against the rules ends the connection without a close frame (a message of up to twice the limit
 * gets 1009), a peer that ignores a close is destroyed within 4 s, and pipelined HTTP ends the connection. Two things of
 * HTTP the library does not leave to us. What its parser does not understand (HTTP/1.0, a target in absolute form, no Host,
 * more than 48 header fields) is not answered and times out (10 to 14 s). It ends an idle connection after as long, sooner
 * than a load balancer would, whose next request would be lost: so each answer ends its connection, and says so.
 */
export async function createUwsTransport(options: UwsTransportOptions = {}): Promise<Transport> {
  const library = await loadUws();
  // No product name in answers. The library keeps this once for the process.
  library._cfg?.("silent");
  const onError = options.onError ?? (() => undefined);
  return {
    name: "uws",
    async listen(listen) {
      if (listen.tls !== undefined) throw withoutTls("uws");
      const listener = new UwsListener(library, listen, onError);
      await listener.start();
      return listener;
    },
  };
}

class UwsListener implements Listener, UwsSocketOwner {
  readonly onError: (error: unknown) => void;
  readonly maxMessageBytes: number;
  readonly #library: UwsLibrary;
  readonly #options: ListenOptions;
  readonly #app: UwsApp;
  readonly #sockets = new Set<UwsSocket>();
  /** Whose upgrade is under way. Handed over here, since it costs the library 0.4 µs to copy a field. */
  #opening: UwsSocket | undefined;
  #listening: UwsListenSocket | undefined;
  #running = 0;
  #port = 0;
  #stopped = false;
  #closed: Promise<void> | undefined;
  readonly #idle = new Idle(() => this.#sockets.size === 0 && this.#running === 0);

  constructor(library: UwsLibrary, options: ListenOptions, onError: (error: unknown) => void) {
    this.onError = onError;
    this.maxMessageBytes = options.maxMessageBytes;
    this.#library = library;
    this.#options = options;
    this.#app = library.App();
    this.#app.ws<UwsSocketData>(options.socketPath, this.#behavior());
    this.#app.any("/*", (response, request) => this.#request(response, request, undefined));
  }

  get port(): number {
    return this.#port;
  }

  get sockets(): number {
    return this.#sockets.size;
  }

  async start(): Promise<void> {
    const { host, port } = this.#options;
    // The library shares a port with whoever else has it, unless told not to.
    const exclusive = this.#library.LIBUS_LISTEN_EXCLUSIVE_PORT;
    const socket = await new Promise<UwsListenSocket | false>((resolve) =>
      this.#app.listen(host, port, exclusive, resolve),
    );
    if (socket === false) throw listenError(host, port, await whyNot(host, port));
    this.#listening = socket;
    this.#port = this.#library.us_socket_local_port(socket);
  }

  renewTls(_pair: TlsPair): void {
    throw withoutTls("uws");
  }

  stopAccepting(): void {
    this.#stopped = true;
    const listening = this.#listening;
    this.#listening = undefined;
    if (listening !== undefined) this.#library.us_listen_socket_close(listening);
  }

  close(graceMs: number): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    return this.#closed;
  }

  forget(socket: UwsSocket): void {
    this.#sockets.delete(socket);
    this.#idle.note();
  }

  async #close(graceMs: number): Promise<void> {
    this.stopAccepting();
    const { number, text } = closeCodes.going_away;
    const had = this.#sockets.size;
    for (const socket of [...this.#sockets]) socket.close(number, text);
    const started = Date.now();
    await this.#idle.within(graceMs);
    // A closed socket is out of sight here while its close frame may still be on its way.
    const left = graceMs - (Date.now() - started);
    if (had > 0 && left > 0) await delay(Math.min(left, MAX_LINGER_MS));
    this.#app.close?.();
  }

  #behavior(): UwsBehavior<UwsSocketData> {
    return {
      // Above our own limit, so that a message a little too large is closed with 1009 and not just cut off.
      maxPayloadLength: this.maxMessageBytes * 2,
      // Liveness is the connection's. With 0 the library still destroys within 4 s what does not end after a close.
      idleTimeout: 0,
      maxLifetime: 0,
      // No limit: at one, the library drops frames in silence. The outbox bounds what is buffered.
      maxBackpressure: 0,
      closeOnBackpressureLimit: false,
      sendPingsAutomatically: false,
      upgrade: (response, request, context) => this.#request(response, request, context),
      open: (ws) => this.#open(ws),
      message: (ws, message, isBinary) => ws.socket?.message(message, isBinary),
      drain: (ws) => ws.socket?.drain(),
      ping: (ws) => ws.socket?.pinged(),
      pong: (ws) => ws.socket?.pong(),
      close: (ws, code, message) => ws.socket?.closed(code, message),
    };
  }

  /** With `context` it is a GET of the path of sockets with a Sec-WebSocket-Key; it need not be an upgrade. */
  #request(response: UwsResponse, request: UwsRequest, context: UwsContext | undefined): void {
    const head = headOf(response, request, context === undefined ? request.getMethod().toUpperCase() : "GET");
    const [upgrade, connection] = [head.fields.get("upgrade"), head.fields.get("connection")];
    if (asksForWebSocket({ upgrade, connection })) return void this.#upgrade(response, head, context);
    const fault = head.fields.fault() ?? requestRefusal(head);
    if (fault !== undefined) return void this.#refuse(response, head, fault);
    this.#running += 1;
    void serveUwsRequest(response, head, { ...this.#options, onError: this.onError }).finally(() => {
      this.#running -= 1;
      this.#idle.note();
    });
  }

  #upgrade(response: UwsResponse, head: RequestHead, context: UwsContext | undefined): void {
    if (this.#stopped) return void response.close();
    const verdict = decideUpgrade(head, this.#options, this.onError);
    if (!verdict.accept) return void this.#refuse(response, head, verdict);
    if (context === undefined) return void response.close();
    const socket = new UwsSocket(this, verdict.handler);
    this.#sockets.add(socket);
    const key = head.fields.get("sec-websocket-key") ?? "";
    this.#opening = socket;
    response.upgrade(noData, key, verdict.subprotocol ?? "", "", context);
  }

  #open(ws: UwsWebSocket & UwsSocketData): void {
    ws.socket = this.#opening;
    this.#opening = undefined;
    ws.socket?.open(ws);
  }

  #refuse(response: UwsResponse, { address, fields }: RequestHead, refused: Refusal): void {
    this.#options.accounting?.refused(address, (name) => fields.get(name));
    void new UwsExchange(response).refuse(refused);
  }
}

/** A plain copy of what the request says, taken before anything is awaited: after that the request is dead. */
function headOf(response: UwsResponse, request: UwsRequest, method: string): RequestHead {
  const fields = new HeaderFields();
  request.forEach((name, value) => {
    fields.add(name, byteString(value));
  });
  return {
    method,
    path: request.getUrl(),
    query: request.getQuery() ?? "",
    fields,
    address: addressOfBytes(response.getRemoteAddress()),
    // The library understands no other version.
    isHttp10: false,
  };
}

/** One character a byte, as node:http has it: the library reads header values as UTF-8. */
function byteString(value: string): string {
  return /[\u0080-\uffff]/.test(value) ? Buffer.from(value, "utf8").toString("latin1") : value;
}

/** The library says only that it could not listen; Node says why. */
async function whyNot(host: string, port: number): Promise<unknown> {
  const probe = createServer();
  try {
    probe.listen(port, host);
    await once(probe, "listening");
    return undefined;
  } catch (error) {
    return error;
  } finally {
    probe.close();
  }
}
