import { once } from "node:events";
import { createServer } from "node:net";
import { expect, it } from "vitest";
import type { Frame } from "../../src/codec/codec.ts";
import type { Socket, SocketHandler, UpgradeDecision, UpgradeRequest } from "../../src/connection/socket.ts";
import type { HttpPeer, HttpRequest } from "../../src/http/endpoint.ts";
import type { TlsPair } from "../../src/transport/tls.ts";
import type { Listener, ListenOptions, Transport } from "../../src/transport/transport.ts";
import { Events } from "../support/events.ts";
import { fetchOver } from "../support/fetch-over.ts";
import type { Ending, FrameClient, FrameClientOptions } from "../support/frame-client.ts";
import type { Place } from "../support/raw-socket.ts";
import { reply } from "../support/reply.ts";

export const socketPath = "/api/websocket";
export const maxMessageBytes = 64 * 1024;
export const maxBodyBytes = 10_000;

/** On everything that a transport refuses itself (reference: src/http/security-headers.ts, written out). */
export const refusalFields = {
  "content-type": "application/json",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  connection: expect.stringMatching(/close/) as string,
};

/** What a transport may do more or less of. A test asks for a capability, never for a transport's name. */
export interface TransportCapabilities {
  /** Listens on a TCP port and parses bytes. */
  readonly tcp: boolean;
  /** Says why in a close frame when it refuses a frame; else it ends the connection without one. */
  readonly explainsBrokenFrames: boolean;
  /** Destroys a connection whose peer ignores a close within this time. */
  readonly destroysWithinMs: number;
  /** Answers what its HTTP parser refuses; else it ends the connection, or waits for its own time-out. */
  readonly answersUnparsable: boolean;
  /** Answers requests that were sent without waiting; else it ends the connection. */
  readonly pipelining: boolean;
  /** Keeps an HTTP connection for the next request; else each answer ends it and says so. */
  readonly keepsConnections: boolean;
}

export interface TransportUnderTest {
  readonly name: string;
  readonly create: (onError: (error: unknown) => void) => Transport | Promise<Transport>;
  readonly connect: (gate: Gate, options?: FrameClientOptions) => Promise<FrameClient>;
  /** Listen with this pair, and believe it. */
  readonly tls?: TlsPair;
  readonly capabilities: TransportCapabilities;
  readonly skip: readonly { readonly test: string; readonly reason: string }[];
}

/** The server's side of one socket, recorded. `react` says what the handler does beside that. */
export class Accepted implements SocketHandler {
  readonly request: UpgradeRequest;
  readonly socket: Socket;
  readonly messages = new Events<Frame>("a message");
  readonly pings = new Events<true>("a ping");
  readonly pongs = new Events<true>("a pong");
  readonly drains = new Events<true>("room to send");
  readonly endings = new Events<Ending>("the socket to close");
  /** Parts of fragmented messages that the transport told of. */
  parts = 0;
  readonly #react: Reactions;

  constructor(request: UpgradeRequest, socket: Socket, react: Reactions) {
    this.request = request;
    this.socket = socket;
    this.#react = react;
  }

  message(frame: Frame): void {
    // Bytes are only valid during the call.
    this.messages.push(typeof frame === "string" ? frame : Uint8Array.from(frame));
    this.#react.message?.(this, frame);
  }

  drained(): void {
    this.drains.push(true);
    this.#react.drained?.(this);
  }

  ping(): void {
    this.pings.push(true);
    this.#react.control?.(this);
  }

  pong(): void {
    this.pongs.push(true);
    this.#react.control?.(this);
  }

  fragments(count: number): void {
    this.parts += count;
    this.#react.fragments?.(this);
  }

  closed(code: number, reason: string): void {
    this.endings.push({ code, reason });
    this.#react.closed?.(this);
  }
}

export interface Reactions {
  readonly opened?: (accepted: Accepted) => void;
  readonly message?: (accepted: Accepted, frame: Frame) => void;
  readonly drained?: (accepted: Accepted) => void;
  /** A ping or a pong came. */
  readonly control?: (accepted: Accepted) => void;
  readonly fragments?: (accepted: Accepted) => void;
  readonly closed?: (accepted: Accepted) => void;
}

export interface GateOptions extends Partial<ListenOptions> {
  readonly react?: Reactions;
  readonly subprotocol?: (request: UpgradeRequest) => string | undefined;
}

/** A listening transport with a handler that records. */
export class Gate {
  readonly transport: Transport;
  readonly errors: unknown[];
  readonly sockets = new Events<Accepted>("a socket");
  readonly requests: { readonly request: HttpRequest; readonly peer: HttpPeer }[] = [];
  readonly upgrades: UpgradeRequest[] = [];
  readonly #tls: TlsPair | undefined;
  #listener: Listener | undefined;

  constructor(transport: Transport, errors: unknown[], tls: TlsPair | undefined) {
    this.transport = transport;
    this.errors = errors;
    this.#tls = tls;
  }

  get listener(): Listener {
    if (this.#listener === undefined) throw new Error("not listening");
    return this.#listener;
  }

  get port(): number {
    return this.listener.port;
  }

  /** Where clients connect, and whom they believe. */
  get at(): Place {
    return { port: this.port, ...(this.#tls === undefined ? {} : { tls: { ca: this.#tls.certificate } }) };
  }

  /** `fetch` of a path here. */
  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetchOver(this.at, path, init);
  }

  async listen(options: GateOptions): Promise<void> {
    const { react = {}, subprotocol, ...listen } = options;
    this.#listener = await this.transport.listen({
      host: "127.0.0.1",
      port: 0,
      socketPath,
      maxMessageBytes,
      maxBodyBytes,
      checkUpgrade: (request) => this.#checkUpgrade(request, react, subprotocol),
      http: async (request) => reply(`served ${request.url.pathname}`),
      tls: this.#tls,
      ...listen,
    });
  }

  #checkUpgrade(
    request: UpgradeRequest,
    react: Reactions,
    subprotocol: GateOptions["subprotocol"],
  ): UpgradeDecision {
    this.upgrades.push(request);
    return {
      accept: true,
      subprotocol: subprotocol?.(request),
      handler: (socket) => {
        const accepted = new Accepted(request, socket, react);
        this.sockets.push(accepted);
        react.opened?.(accepted);
        return accepted;
      },
    };
  }
}

/** What one test works with. Everything that it starts is stopped after it. */
export class Rig {
  readonly capabilities: TransportCapabilities;
  readonly #subject: TransportUnderTest;
  readonly #gates: Gate[] = [];
  readonly #clients: FrameClient[] = [];

  constructor(subject: TransportUnderTest) {
    this.#subject = subject;
    this.capabilities = subject.capabilities;
  }

  async start(options: GateOptions = {}): Promise<Gate> {
    const errors: unknown[] = [];
    const transport = await this.#subject.create((error) => errors.push(error));
    const gate = new Gate(transport, errors, this.#subject.tls);
    await gate.listen(options);
    this.#gates.push(gate);
    return gate;
  }

  /** A port that nobody has: a listener on port 0 is not what people restart. */
  async freePort(): Promise<number> {
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const address = probe.address();
    probe.close();
    await once(probe, "close");
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  async connect(gate: Gate, options?: FrameClientOptions): Promise<FrameClient> {
    const client = await this.#subject.connect(gate, options);
    this.#clients.push(client);
    return client;
  }

  /** A connected pair: the client and the server's side of it. */
  async pair(
    options: GateOptions = {},
  ): Promise<{ readonly gate: Gate; readonly client: FrameClient; readonly server: Accepted }> {
    const gate = await this.start(options);
    const client = await this.connect(gate);
    return { gate, client, server: await gate.sockets.next() };
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.terminate();
    for (const gate of this.#gates) await gate.listener.close(0);
  }
}

export type Fact = (name: string, run: (rig: Rig) => Promise<void>, timeoutMs?: number) => void;

/** Registers tests of one transport; a skipped one carries its reason. */
export function factsOf(subject: TransportUnderTest): { readonly fact: Fact; readonly done: () => void } {
  const unused = new Map(subject.skip.map(({ test, reason }) => [test, reason]));
  const fact: Fact = (name, run, timeoutMs) => {
    const reason = unused.get(name);
    unused.delete(name);
    if (reason !== undefined) return void it.skip(`${name} (${reason})`);
    it(
      name,
      async () => {
        const rig = new Rig(subject);
        try {
          await run(rig);
        } finally {
          await rig.stop();
        }
      },
      timeoutMs,
    );
  };
  const done = () => {
    it("skips only tests that exist", () => {
      expect([...unused.keys()]).toEqual([]);
    });
  };
  return { fact, done };
}
