import { setImmediate as nextTurn } from "node:timers/promises";
import type { HttpHandler } from "../http/endpoint.ts";
import { BodyCollector } from "./body-collector.ts";
import {
  askHandler,
  type RequestHead,
  type ResponseSink,
  requestRefusal,
  sendResponse,
  toRequest,
} from "./http-exchange.ts";
import { bodyTooLarge, type Refusal, requestTooSlow, statusLine } from "./refusal.ts";
import type { UwsResponse } from "./uws-library.ts";

/** Before the library's own end of such a connection, which comes without an answer 8 to 12 s after the header. */
const BODY_TIMEOUT_MS = 7000;

export interface UwsServeOptions {
  readonly http: HttpHandler;
  readonly maxBodyBytes: number;
  readonly onError: (error: unknown) => void;
  /** True when the connection must not be used again after this answer. */
  readonly closing: () => boolean;
}

/**
 * The answer to one request. Nothing is ever written from inside the library's request callback: an answer that ends
 * there lets the parser run on into what the same client sent behind the request, also when it closes the connection.
 * With the answer still open, a request behind it makes the library drop the connection.
 */
export class UwsExchange implements ResponseSink {
  readonly #response: UwsResponse;
  readonly #abort = new AbortController();
  readonly #closing: () => boolean;
  gone = false;
  #wake: () => void = () => undefined;

  constructor(response: UwsResponse, closing: () => boolean) {
    this.#response = response;
    this.#closing = closing;
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
      if (body !== undefined || this.#closing()) return this.#response.end(body, this.#closing());
      // Not as an argument: with one, the library holds the answer for unfinished.
      if (length !== undefined) this.#response.writeHeader("content-length", String(length));
      this.#response.endWithoutBody();
    });
  }

  start(status: number, headers: Headers): void {
    if (!this.gone) this.#response.cork(() => this.#writeHead(status, headers));
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.gone || chunk.byteLength === 0) return;
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
    this.gone = true;
    this.#response.cork(() => this.#response.end(undefined, this.#closing()));
  }

  destroy(): void {
    if (this.gone) return;
    this.#response.close();
  }

  /** Must be called in the turn in which the request came. */
  body(maxBytes: number): Promise<Uint8Array<ArrayBuffer> | Refusal | "gone"> {
    const body = new BodyCollector(maxBytes);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(requestTooSlow), BODY_TIMEOUT_MS);
      const settle = (result: Uint8Array<ArrayBuffer> | Refusal | "gone") => {
        clearTimeout(timer);
        resolve(result);
      };
      this.#wake = () => settle("gone");
      this.#response.onData((chunk, last) => {
        // The library takes the chunk back after the call.
        body.add(new Uint8Array(chunk.slice(0)));
        if (body.hopeless || (last && body.tooLarge)) settle(bodyTooLarge);
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
  const exchange = new UwsExchange(response, () => head.fields.chunked || options.closing());
  const refused = requestRefusal(head);
  if (refused !== undefined) return exchange.refuse(refused);
  const body = head.fields.hasBody ? await exchange.body(options.maxBodyBytes) : undefined;
  if (body === "gone") return;
  if (body !== undefined && "status" in body) return exchange.refuse(body);
  const request = () => toRequest(head, body, exchange.signal);
  const answer = await askHandler(options.http, head, request, options.onError);
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
