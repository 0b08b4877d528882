import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { closeCodes } from "../../protocol/close-codes.ts";
import { plainAddress } from "../net/address-text.ts";
import { DeferredDestroy } from "./deferred-destroy.ts";
import { FrameTurns } from "./frame-turns.ts";
import { HeaderFields } from "./header-fields.ts";
import { type RequestHead, requestRefusal, splitTarget } from "./http-exchange.ts";
import { listenError } from "./listen-error.ts";
import { expectationFailed, type Refusal, refusal } from "./refusal.ts";
import { channelBindingOf, type TlsPair } from "./tls.ts";
import { TlsHandshakes } from "./tls-handshakes.ts";
import type { Listener, ListenOptions, Transport } from "./transport.ts";
import { Idle } from "./until-idle.ts";
import { decideUpgrade } from "./upgrade.ts";
import { switchingProtocols } from "./ws-handshake.ts";
import { refuseNodeRequest, serveNodeRequest } from "./ws-http.ts";
import { refusalOf, refuseConnection } from "./ws-refusal.ts";
import { createBoundedServer, renewTls } from "./ws-server.ts";
import { CLOSE_TIMEOUT_MS, type SocketOwner, WsSocket } from "./ws-socket.ts";

/**
 * Connections that the kernel completes before they are accepted. It takes fewer if `net.core.somaxconn` is lower.
 * With Node's 511, if 10,000 clients came back at once, the last ones waited for the kernel's retransmissions,
 * seconds apart.
 */
const BACKLOG = 4096;
/**
 * Requests that one connection may have in progress, or send in one tick (HTTP pipelining). One more ends the
 * connection. A request with a body can be answered before the parser reaches the next one of the same read.
 */
const MAX_PIPELINED = 16;

const noHost = refusal(400, "Missing Host");
const badTarget = refusal(400, "Malformed request target");

export interface WsTransportOptions {
  /** Faults of handlers, which close their socket with 1011 or answer 500. Dropped when this is not given. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Sockets and HTTP by node:http on one port, with TLS when it is asked for: runs wherever Node runs. The `ws` package
 * reads and writes the frames (its `Receiver` and `Sender`); the connection, the closing handshake and the limits are ours.
 */
export function createWsTransport(options: WsTransportOptions = {}): Transport {
  const onError = options.onError ?? (() => undefined);
  return {
    name: "ws",
    async listen(listen) {
      const listener = new WsListener(listen, onError);
      await listener.start();
      return listener;
    },
  };
}

/** HTTP of one TCP connection. A refused request ends it, whatever was sent after that request. */
interface Exchanges {
  /** The latest one. */
  request: IncomingMessage | undefined;
  running: number;
  refused: boolean;
  /** The tick in which a request came last, and how many came in it. */
  turn: number;
  inTurn: number;
}

class WsListener implements Listener, SocketOwner {
  readonly onError: (error: unknown) => void;
  readonly maxMessageBytes: number;
  readonly #options: ListenOptions;
  readonly #server: Server;
  readonly #sockets = new Set<WsSocket>();
  readonly #refused = new Set<Duplex>();
  readonly #handshakes: TlsHandshakes | undefined;
  readonly #exchanges = new WeakMap<Duplex, Exchanges>();
  #running = 0;
  #turn = 0;
  /** A callback at the end of this tick is scheduled. */
  #turnEnds = false;
  #port = 0;
  #stopped: Promise<unknown> | undefined;
  #closed: Promise<void> | undefined;
  readonly #departures = new DeferredDestroy();
  readonly turns = new FrameTurns();
  readonly #idle = new Idle(() => this.#sockets.size === 0 && this.#running === 0);

  constructor(options: ListenOptions, onError: (error: unknown) => void) {
    this.onError = onError;
    this.#options = options;
    this.maxMessageBytes = options.maxMessageBytes;
    this.#server = createBoundedServer(options.tls, options.keepAliveMs);
    this.#server.on("request", (request, response) => void this.#request(request, response, "none"));
    this.#server.on(
      "checkContinue",
      (request, response) => void this.#request(request, response, "continue"),
    );
    this.#server.on(
      "checkExpectation",
      (request, response) => void this.#request(request, response, "unknown"),
    );
    this.#server.on("clientError", (error, raw) => this.#clientError(error, raw));
    if (options.tls !== undefined) this.#handshakes = new TlsHandshakes(this.#server, options.accounting);
    this.#server.on("upgrade", (request, _, early) => this.#upgrade(request, early));
  }

  get port(): number {
    return this.#port;
  }

  get sockets(): number {
    return this.#sockets.size;
  }

  async start(): Promise<void> {
    const { host, port } = this.#options;
    try {
      this.#server.listen({ port, host, backlog: BACKLOG });
      await once(this.#server, "listening");
    } catch (error) {
      throw listenError(host, port, error);
    }
    const address = this.#server.address();
    if (address !== null && typeof address === "object") this.#port = address.port;
    this.#server.on("error", this.onError);
  }

  renewTls(pair: TlsPair): void {
    renewTls(this.#server, pair);
  }

  stopAccepting(): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = once(this.#server, "close");
    this.#server.close();
  }

  close(graceMs: number): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    return this.#closed;
  }

  forget(socket: WsSocket): void {
    this.#sockets.delete(socket);
    this.#idle.note();
  }

  left(raw: Socket): void {
    this.#departures.add(raw);
  }

  async #close(graceMs: number): Promise<void> {
    this.stopAccepting();
    const { number, text } = closeCodes.going_away;
    for (const socket of [...this.#sockets]) socket.close(number, text);
    await this.#idle.within(graceMs);
    for (const socket of [...this.#sockets]) socket.terminate();
    for (const raw of this.#refused) raw.destroy();
    this.#server.closeAllConnections();
    this.#handshakes?.destroyAll();
    await this.#stopped;
  }

  #upgrade(request: IncomingMessage, early: Buffer): void {
    const raw = request.socket;
    raw.on("error", destroy);
    const head = upgradeHeadOf(request);
    const exchanges = this.#exchanges.get(raw);
    const busy = exchanges !== undefined && (exchanges.refused || exchanges.running > 0);
    // The client has gone already, or has sent its last byte.
    const lost = head?.address === "" || !raw.readable || !raw.writable;
    if (lost || busy || this.#stopped !== undefined) return void raw.destroy();
    const verdict = decideUpgrade(head, this.#options, this.onError);
    if (!verdict.accept) {
      this.#charge(request);
      return void this.#refuseConnection(raw, verdict);
    }
    if (this.#handshakes !== undefined) this.#options.accounting?.upgraded(plainAddress(raw.remoteAddress));
    // One write for the 101 and what the handler sends at open.
    raw.cork();
    raw.write(switchingProtocols(request.headers["sec-websocket-key"] ?? "", verdict.subprotocol));
    if (early.length > 0) raw.unshift(early);
    const socket = new WsSocket(raw, this);
    this.#sockets.add(socket);
    socket.open(verdict.handler);
    raw.uncork();
  }

  #charge({ socket, headers }: Pick<IncomingMessage, "socket" | "headers">): void {
    const { accounting } = this.#options;
    accounting?.refused(plainAddress(socket.remoteAddress), (name) => headers[name]?.toString());
  }

  #refuseConnection(raw: Duplex, refused: Refusal): void {
    this.#exchangesOf(raw).refused = true;
    this.#refused.add(raw);
    raw.once("close", () => this.#refused.delete(raw));
    refuseConnection(raw, refused, CLOSE_TIMEOUT_MS);
  }

  /**
   * What the parser refused is answered if nothing else is in progress. Behind other requests the refusal would be
   * taken for the answer to one of them. A refusal that is being sent ends the connection by itself.
   */
  #clientError(error: Error, raw: Duplex): void {
    const { request, running, refused } = this.#exchangesOf(raw);
    const answer = refusalOf(error);
    if (answer !== undefined && raw instanceof Socket) this.#charge({ socket: raw, headers: {} });
    const alone = running === 0 || (running === 1 && request?.complete === false);
    if (refused) return;
    if (answer === undefined || !alone || !raw.writable) return void raw.destroy();
    this.#refuseConnection(raw, answer);
  }

  async #request(
    request: IncomingMessage,
    response: ServerResponse,
    expectation: "none" | "continue" | "unknown",
  ): Promise<void> {
    const exchanges = this.#exchangesOf(request.socket);
    this.#countTurn(exchanges);
    if (exchanges.running >= MAX_PIPELINED || exchanges.inTurn > MAX_PIPELINED)
      return void request.socket.destroy();
    if (exchanges.refused) return;
    const head = headOf(request);
    if (head?.address === "") return void request.socket.destroy();
    const fault = head === undefined ? badTarget : faultOf(head, expectation === "unknown");
    if (head === undefined || fault !== undefined) {
      exchanges.refused = true;
      this.#charge(request);
      return refuseNodeRequest(response, fault ?? badTarget);
    }
    if (this.#stopped !== undefined) response.shouldKeepAlive = false;
    exchanges.request = request;
    exchanges.running += 1;
    this.#running += 1;
    await serveNodeRequest(request, response, head, {
      ...this.#options,
      onError: this.onError,
      expectsContinue: expectation === "continue",
      onRefused: () => {
        exchanges.refused = true;
      },
    });
    exchanges.running -= 1;
    this.#running -= 1;
    this.#idle.note();
  }

  #countTurn(exchanges: Exchanges): void {
    if (!this.#turnEnds) {
      this.#turnEnds = true;
      setImmediate(() => {
        this.#turnEnds = false;
        this.#turn += 1;
      });
    }
    if (exchanges.turn !== this.#turn) {
      exchanges.turn = this.#turn;
      exchanges.inTurn = 0;
    }
    exchanges.inTurn += 1;
  }

  #exchangesOf(raw: Duplex): Exchanges {
    const known = this.#exchanges.get(raw);
    if (known !== undefined) return known;
    const fresh = { request: undefined, running: 0, refused: false, turn: -1, inTurn: 0 };
    this.#exchanges.set(raw, fresh);
    return fresh;
  }
}

/**
 * A plain copy of what the request line and header say; undefined when its target is none that is served. The address
 * is empty when the client has gone already.
 */
function headOf(request: IncomingMessage): RequestHead | undefined {
  const target = splitTarget(request.url ?? "");
  if (target === undefined) return undefined;
  const fields = new HeaderFields();
  const raw = request.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) fields.add((raw[i] ?? "").toLowerCase(), raw[i + 1] ?? "");
  const address = plainAddress(request.socket.remoteAddress);
  const isHttp10 = request.httpVersion === "1.0";
  return { method: request.method ?? "", path: target.path, query: target.query, fields, address, isHttp10 };
}

/** The same for an upgrade. What binds a login to the connection is computed when somebody asks for it. */
function upgradeHeadOf(request: IncomingMessage): RequestHead | undefined {
  const head = headOf(request);
  const { socket } = request;
  if (head === undefined || !(socket instanceof TLSSocket)) return head;
  return { ...head, channelBinding: () => channelBindingOf(socket) };
}

/** Why a request is not served, before the gate is asked. */
function faultOf(head: RequestHead, unknownExpectation: boolean): Refusal | undefined {
  const fault = head.fields.fault();
  if (fault !== undefined) return fault;
  if (!head.isHttp10 && head.fields.get("host") === undefined) return noHost;
  return unknownExpectation ? expectationFailed : requestRefusal(head);
}

function destroy(this: Duplex): void {
  this.destroy();
}
