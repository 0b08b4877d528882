import { closeCodes } from "../../protocol/close-codes.ts";
import type { SocketHandler } from "../connection/socket.ts";
import { BodyCollector } from "./body-collector.ts";
import { HeaderFields } from "./header-fields.ts";
import { askHandler, type Outgoing, type RequestHead, splitTarget, toRequest } from "./http-exchange.ts";
import { MemoryPair, type MemoryPeer } from "./memory-pair.ts";
import { bodyTooLarge, malformed, type Refusal } from "./refusal.ts";
import { type TlsPair, withoutTls } from "./tls.ts";
import type { Listener, ListenOptions, Transport } from "./transport.ts";
import { Idle } from "./until-idle.ts";
import { decideUpgrade } from "./upgrade.ts";

export interface MemoryConnectOptions {
  /** Of the listener; the only one there is when it is not given. */
  readonly port?: number;
  /** Path and query; the listener's socket path by default. */
  readonly target?: string;
  /** Lower-case names, beside those of the handshake. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly subprotocols?: readonly string[];
  /** The client's address; 127.0.0.1 by default. */
  readonly address?: string;
}

export type MemoryConnection =
  | { readonly accepted: true; readonly subprotocol: string | undefined; readonly peer: MemoryPeer }
  | ({ readonly accepted: false } & Refusal);

/** A transport inside the process: the same guarantees to a handler, no port, no bytes on a wire. */
export interface MemoryTransport extends Transport {
  /**
   * A client's upgrade; `client` hears what the server sends. Throws when nobody listens on the port. Frames arrive in
   * order, each in a microtask of its own.
   */
  connect(client: SocketHandler, options?: MemoryConnectOptions): MemoryConnection;
  /** An HTTP request as the listener's handler answers it; a body above its limit is 413, one that breaks off 400. */
  fetch(request: Request, options?: { readonly port?: number; readonly address?: string }): Promise<Response>;
}

export interface MemoryTransportOptions {
  /** Faults of handlers, which close their socket with 1011 or answer 500. Dropped when this is not given. */
  readonly onError?: (error: unknown) => void;
}

export function createMemoryTransport(options: MemoryTransportOptions = {}): MemoryTransport {
  const onError = options.onError ?? (() => undefined);
  const listeners = new Map<number, MemoryListener>();
  const listenerOf = (port: number | undefined) => {
    const listener = port === undefined ? [...listeners.values()].at(-1) : listeners.get(port);
    if (listener === undefined) throw new Error(`nobody listens on port ${port ?? "any"}`);
    return listener;
  };
  return {
    name: "memory",
    async listen(listen) {
      if (listen.tls !== undefined) throw withoutTls("memory");
      const port = listen.port === 0 ? Math.max(0, ...listeners.keys()) + 1 : listen.port;
      if (listeners.has(port)) throw new Error(`port ${port} is in use`);
      const listener = new MemoryListener(port, listen, onError, () => listeners.delete(port));
      listeners.set(port, listener);
      return listener;
    },
    connect: (client, connect = {}) => listenerOf(connect.port).connect(client, connect),
    fetch: (request, fetch = {}) => listenerOf(fetch.port).fetch(request, fetch.address ?? "127.0.0.1"),
  };
}

class MemoryListener implements Listener {
  readonly port: number;
  readonly #options: ListenOptions;
  readonly #onError: (error: unknown) => void;
  readonly #free: () => void;
  readonly #pairs = new Set<MemoryPair>();
  #running = 0;
  readonly #idle = new Idle(() => this.#pairs.size === 0 && this.#running === 0);

  constructor(port: number, options: ListenOptions, onError: (error: unknown) => void, free: () => void) {
    this.port = port;
    this.#options = options;
    this.#onError = onError;
    this.#free = free;
  }

  get sockets(): number {
    return this.#pairs.size;
  }

  renewTls(_pair: TlsPair): void {
    throw withoutTls("memory");
  }

  stopAccepting(): void {
    this.#free();
  }

  async close(graceMs: number): Promise<void> {
    this.stopAccepting();
    const { number, text } = closeCodes.going_away;
    for (const pair of this.#pairs) pair.server.close(number, text);
    await this.#idle.within(graceMs);
    for (const pair of this.#pairs) pair.server.terminate();
  }

  connect(client: SocketHandler, options: MemoryConnectOptions): MemoryConnection {
    const verdict = decideUpgrade(this.#headOf(options), this.#options, this.#onError);
    if (!verdict.accept) return { ...verdict, accepted: false };
    const pair = new MemoryPair(client, {
      maxMessageBytes: this.#options.maxMessageBytes,
      onError: this.#onError,
      ended: () => {
        this.#pairs.delete(pair);
        this.#idle.note();
      },
    });
    this.#pairs.add(pair);
    pair.open(verdict.handler);
    return { accepted: true, subprotocol: verdict.subprotocol, peer: pair.client };
  }

  async fetch(request: Request, address: string): Promise<Response> {
    this.#running += 1;
    try {
      return await this.#answer(request, address);
    } finally {
      this.#running -= 1;
      this.#idle.note();
    }
  }

  async #answer(request: Request, address: string): Promise<Response> {
    const body = await readBody(request, this.#options.maxBodyBytes);
    if (body !== undefined && "status" in body) return toWebResponse(body);
    const { pathname, search } = new URL(request.url);
    const fields = new HeaderFields();
    for (const [name, value] of request.headers) fields.add(name, value);
    const target = { path: pathname, query: search.slice(1) };
    const head = { method: request.method, ...target, fields, address, isHttp10: false };
    const asked = () => toRequest(head, body);
    const answer = await askHandler(this.#options.http, head, asked, this.#onError);
    return toWebResponse(answer.refused ?? answer.outgoing);
  }

  #headOf(options: MemoryConnectOptions): RequestHead | undefined {
    const target = splitTarget(options.target ?? this.#options.socketPath);
    if (target === undefined) return undefined;
    const fields = new HeaderFields();
    for (const [name, value] of Object.entries(options.headers ?? {})) fields.add(name, value);
    if (fields.get("host") === undefined) fields.add("host", "memory");
    fields.add("upgrade", "websocket");
    fields.add("connection", "Upgrade");
    fields.add("sec-websocket-version", "13");
    fields.add("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    const offered = options.subprotocols ?? [];
    if (offered.length > 0) fields.add("sec-websocket-protocol", offered.join(", "));
    return { method: "GET", ...target, fields, address: options.address ?? "127.0.0.1", isHttp10: false };
  }
}

/** Does not wait for the rest of a body that is too large. */
async function readBody(request: Request, maxBytes: number): Promise<Uint8Array | Refusal | undefined> {
  if (request.body === null) return undefined;
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) return bodyTooLarge;
  const body = new BodyCollector(maxBytes);
  try {
    for await (const chunk of request.body) {
      body.add(chunk);
      if (body.tooLarge) return bodyTooLarge;
    }
  } catch {
    return malformed;
  }
  return body.bytes();
}

function toWebResponse({ status, headers, body }: Refusal | Outgoing): Response {
  const fields = new Headers();
  for (const [name, value] of Object.entries(headers))
    for (const one of typeof value === "string" ? [value] : value) fields.append(name, one);
  const content = body instanceof Uint8Array ? new Uint8Array(body) : (body ?? null);
  return new Response(content, { status, headers: fields });
}
