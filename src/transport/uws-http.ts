import { setImmediate as nextTurn } from "node:timers/promises";
import type { HttpEntry, HttpGate, HttpHandler, HttpHeaders } from "../http/endpoint.ts";
import { BodyCollector } from "./body-collector.ts";
import { askGate, askHandler, type Outgoing, type RequestHead, toRequest } from "./http-exchange.ts";
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
 * With the answer still open, a request behind it makes the library drop the connection. Each answer ends its
 * connection: see `createUwsTransport`.
 */
export class UwsExchange {
  readonly #response: UwsResponse;
  readonly #isChunked: boolean;
  /** The client has gone, or has its answer. */
  gone = false;
  #aborted: () => void = () => undefined;

  /** `isChunked`: so the request's body is delimited. */
  constructor(response: UwsResponse, isChunked = false) {
    this.#response = response;
    this.#isChunked = isChunked;
    response.onAborted(() => {
      this.gone = true;
      this.#aborted();
    });
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

  send({ status, headers, body, length }: Outgoing): void {
    if (this.gone) return;
    this.gone = true;
    this.#response.cork(() => {
      this.#writeHead(status, headers);
      // The library ends the connection itself only behind a body. It must where a chunked request came, whose end it
      // may have misread: nothing that follows there is served.
      if (body !== undefined || this.#isChunked) return this.#response.end(body, true);
      // Neither as an argument: with one, the library writes a length of 2^63 and holds the answer for unfinished.
      if (length !== undefined) this.#response.writeHeader("content-length", String(length));
      this.#response.writeHeader("connection", "close");
      this.#response.endWithoutBody();
    });
  }

  destroy(): void {
    if (this.gone) return;
    this.#response.close();
  }

  /** Must be called in the turn in which the request came. */
  body(maxBytes: number, charge: (ms: number) => void): Promise<Uint8Array | Refusal | "gone"> {
    const body = new BodyCollector(maxBytes);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(requestTooSlow), BODY_TIMEOUT_MS);
      const settle = (result: Uint8Array | Refusal | "gone") => {
        clearTimeout(timer);
        charge(body.costMs);
        resolve(result);
      };
      this.#aborted = () => settle("gone");
      this.#response.onData((chunk, last) => {
        // The library takes the chunk back after the call.
        body.add(new Uint8Array(chunk.slice(0)));
        if (body.chopped) this.destroy();
        else if (body.hopeless || (last && body.tooLarge)) settle(bodyTooLarge);
        else if (last) settle(body.bytes());
      });
    });
  }

  #writeHead(status: number, headers: HttpHeaders): void {
    this.#response.writeStatus(statusLine(status));
    for (const [name, value] of Object.entries(headers)) {
      // The library writes its own.
      if (name === "date") continue;
      for (const one of typeof value === "string" ? [value] : value) this.#response.writeHeader(name, one);
    }
  }
}

/** Answers one request. Must be called in the turn in which it came. Never rejects. */
export async function serveUwsRequest(
  response: UwsResponse,
  head: RequestHead,
  options: UwsServeOptions,
): Promise<void> {
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
  const request = () => toRequest(head, body);
  const answer = await askHandler(options.http, entry.peer, request, options.onError);
  await nextTurn();
  if (answer.refused !== undefined) return exchange.refuse(answer.refused);
  try {
    exchange.send(answer.outgoing);
  } catch (error) {
    options.onError(error);
    exchange.destroy();
  }
}
