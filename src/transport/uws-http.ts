import { setImmediate as nextTurn } from "node:timers/promises";
import type { HttpEntry, HttpGate, HttpHandler } from "../http/endpoint.ts";
import { BodyCollector } from "./body-collector.ts";
import {
  askGate,
  askHandler,
  type RequestHead,
  type ResponseSink,
  sendResponse,
  toRequest,
} from "./http-exchange.ts";
import { bodyTooLarge, type Refusal, requestTooSlow, statusLine } from "./refusal.ts";
import type { UwsResponse } from "./uws-library.ts";

/** Before the library's own end of such a connection, which comes without an answer 8 to 12 s after the header. */
const BODY_TIMEOUT_MS = 7000;

export interface UwsServeOptions {
  readonly http: HttpHandler;
  readonly httpGate?: HttpGate;
  readonly maxBodyBytes: number;
  readonly onError: (error: unknown) => void;
}

/**
 * The answer to one request. Nothing is ever written from inside the library's request callback: an answer that ends
 * there lets the parser run on into what the same client sent behind the request, also when it closes the connection.
 * With the answer still open, a request behind it makes the library drop the connection. A whole answer ends its
 * connection: see `createUwsTransport`.
 */
export class UwsExchange implements ResponseSink {
  readonly #response: UwsResponse;
  readonly #abort = new AbortController();
  /** The parts of an answer that is sent at its end: while they come. */
  #collected:
    | { readonly status: number; readonly headers: Headers; readonly parts: Uint8Array[] }
    | undefined;
  readonly #collects: boolean;
  gone = false;
  #wake: () => void = () => undefined;

  /**
   * `collects`: a streamed answer is kept until it is whole, since the library can close a connection behind whole answers
   * alone. One that goes out as it comes leaves its connection open, and does not say "close" either: some clients take
   * an answer that breaks off for a whole one when they have read that.
   */
  constructor(response: UwsResponse, collects = false) {
    this.#response = response;
    this.#collects = collects;
    response.onAborted(() => {
      this.gone = true;
      this.#abort.abort();
      this.#wake();
    });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Gives `refused` and closes the connection after it. */
  async refuse(refused: Refusal): Promise<void> {
    await nextTurn();
    if (this.gone) return;
    this.gone = true;
    this.#response.cork(() => {
      this.#response.writeStatus(statusLine(refused.status));
      for (const [name, value] of Object.entries(refused.headers)) this.#response.writeHeader(name, value);
      // The library adds a field of its own that says close.
      if (refused.headers.upgrade !== undefined) this.#response.writeHeader("connection", "upgrade");
      this.#response.end(refused.body, true);
    });
  }

  whole(status: number, headers: Headers, body: Uint8Array | undefined, length?: number): void {
    if (this.gone) return;
    this.gone = true;
    this.#response.cork(() => {
      this.#writeHead(status, headers);
      if (body !== undefined || this.#collects) return this.#response.end(body, true);
      // Neither as an argument: with one, the library writes a length of 2^63 and holds the answer for unfinished.
      if (length !== undefined) this.#response.writeHeader("content-length", String(length));
      this.#response.writeHeader("connection", "close");
      this.#response.endWithoutBody();
    });
  }

  start(status: number, headers: Headers): void {
    if (this.#collects) this.#collected = { status, headers, parts: [] };
    else if (!this.gone) this.#response.cork(() => this.#writeHead(status, headers));
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.gone || chunk.byteLength === 0) return;
    if (this.#collected !== undefined) return void this.#collected.parts.push(chunk);
    const room = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    let ok = true;
    this.#response.cork(() => {
      ok = this.#response.write(chunk);
    });
    if (ok) return;
    this.#response.onWritable(() => {
      this.#wake();
      return true;
    });
    await room;
    // Out of the library's callback, for the same reason as a socket's drain.
    await nextTurn();
  }

  end(): void {
    if (this.gone) return;
    if (this.#collected !== undefined) {
      const { status, headers, parts } = this.#collected;
      this.whole(status, headers, Buffer.concat(parts));
      return;
    }
    this.gone = true;
    // Told to close here, the library writes its Connection field into the body.
    this.#response.cork(() => this.#response.end());
  }

  destroy(): void {
    if (this.gone) return;
    this.#response.close();
  }

  /** Must be called in the turn in which the request came. */
  body(maxBytes: number, charge: (ms: number) => void): Promise<Uint8Array<ArrayBuffer> | Refusal | "gone"> {
    const body = new BodyCollector(maxBytes);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(requestTooSlow), BODY_TIMEOUT_MS);
      const settle = (result: Uint8Array<ArrayBuffer> | Refusal | "gone") => {
        clearTimeout(timer);
        charge(body.costMs);
        resolve(result);
      };
      this.#wake = () => settle("gone");
      this.#response.onData((chunk, last) => {
        // The library takes the chunk back after the call.
        body.add(new Uint8Array(chunk.slice(0)));
        if (body.chopped) this.destroy();
        else if (body.hopeless || (last && body.tooLarge)) settle(bodyTooLarge);
        else if (last) settle(body.bytes());
      });
    });
  }

  #writeHead(status: number, headers: Headers): void {
    this.#response.writeStatus(statusLine(status));
    for (const [name, value] of headers) {
      // The library writes its own.
      if (name !== "date") this.#response.writeHeader(name, value);
    }
  }
}

/** Answers one request. Must be called in the turn in which it came. Never rejects. */
export async function serveUwsRequest(
  response: UwsResponse,
  head: RequestHead,
  options: UwsServeOptions,
): Promise<void> {
  // A chunked body is delimited by a parser that we cannot check: nothing may follow it on this connection.
  const exchange = new UwsExchange(response, head.fields.chunked);
  const entry = askGate(options.httpGate, head, options.onError);
  if (!entry.accept) return exchange.refuse(entry);
  try {
    await serveEntered(exchange, { head, entry }, options);
  } finally {
    entry.leave();
  }
}

/** Must be called in the turn in which the request came. */
async function serveEntered(
  exchange: UwsExchange,
  { head, entry }: { readonly head: RequestHead; readonly entry: Extract<HttpEntry, { accept: true }> },
  options: UwsServeOptions,
): Promise<void> {
  const body = head.fields.hasBody ? await exchange.body(options.maxBodyBytes, entry.charge) : undefined;
  if (body === "gone") return;
  if (body !== undefined && "status" in body) return exchange.refuse(body);
  const request = () => toRequest(head, body, exchange.signal);
  const answer = await askHandler(options.http, entry.peer, request, options.onError);
  await nextTurn();
  if (!(answer instanceof Response)) return exchange.refuse(answer);
  try {
    if (exchange.gone) return void (await answer.body?.cancel());
    await sendResponse(answer, head.method, exchange);
  } catch (error) {
    options.onError(error);
    exchange.destroy();
  }
}
