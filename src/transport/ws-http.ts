import type { IncomingMessage, ServerResponse } from "node:http";
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
import { bodyTooLarge, connectionOf, type Refusal } from "./refusal.ts";

export interface ServeOptions {
  readonly http: HttpHandler;
  readonly httpGate?: HttpGate;
  readonly maxBodyBytes: number;
  readonly onError: (error: unknown) => void;
  /** The client waits for 100 before it sends the body. */
  readonly expectsContinue: boolean;
  /** A refusal is on its way, after which the connection closes. */
  readonly onRefused: () => void;
}

interface Entered {
  readonly head: RequestHead;
  readonly entry: Extract<HttpEntry, { accept: true }>;
  refuse(refused: Refusal): void;
}

/** Answers one request of node:http. Never rejects. */
export async function serveNodeRequest(
  request: IncomingMessage,
  response: ServerResponse,
  head: RequestHead,
  options: ServeOptions,
): Promise<void> {
  const refuse = (refused: Refusal) => {
    options.onRefused();
    refuseNodeRequest(response, refused);
  };
  const entry = askGate(options.httpGate, head, options.onError);
  if (!entry.accept) return refuse(entry);
  if (options.expectsContinue && head.fields.hasBody) {
    if (Number(head.fields.get("content-length") ?? 0) <= options.maxBodyBytes) response.writeContinue();
    else {
      entry.leave();
      return refuse(bodyTooLarge);
    }
  }
  try {
    await serveEntered(request, response, { head, entry, refuse }, options);
  } finally {
    entry.leave();
  }
}

async function serveEntered(
  request: IncomingMessage,
  response: ServerResponse,
  { head, entry, refuse }: Entered,
  options: ServeOptions,
): Promise<void> {
  const abort = new AbortController();
  const sink = new NodeSink(response, abort);
  const body = head.fields.hasBody ? await readBody(request, options.maxBodyBytes, entry.charge) : undefined;
  if (body === "aborted" || sink.gone) return;
  if (body === "too_large") return refuse(bodyTooLarge);
  const answer = await askHandler(
    options.http,
    entry.peer,
    () => toRequest(head, body, abort.signal),
    options.onError,
  );
  if (!(answer instanceof Response)) return refuse(answer);
  try {
    if (sink.gone) return void (await answer.body?.cancel());
    await sendResponse(answer, head.method, sink);
  } catch (error) {
    options.onError(error);
    sink.destroy();
  }
}

/** Gives `refused` and closes the connection after it. */
export function refuseNodeRequest(response: ServerResponse, refused: Refusal): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(refused.status, {
    ...refused.headers,
    "content-length": Buffer.byteLength(refused.body),
    connection: connectionOf(refused),
  });
  response.end(refused.body);
}

type Body = Uint8Array<ArrayBuffer> | "too_large" | "aborted";

/** Node's own request time-out ends a body that does not come. */
function readBody(request: IncomingMessage, maxBytes: number, charge: (ms: number) => void): Promise<Body> {
  return new Promise((resolve) => {
    const body = new BodyCollector(maxBytes);
    const { socket } = request;
    const readBefore = socket.bytesRead;
    request.on("data", (chunk: Buffer) => {
      // The parser gives the rest of what it read also when the connection was destroyed.
      if (socket.destroyed) return;
      body.add(chunk);
      if (body.chopped) {
        charge(body.costMs);
        socket.destroy();
      } else if (body.isPadded(socket.bytesRead - readBefore)) socket.destroy();
      else if (body.hopeless) resolve("too_large");
    });
    request.on("end", () => resolve(body.tooLarge ? "too_large" : body.bytes()));
    request.on("error", () => resolve("aborted"));
    request.on("close", () => {
      if (!body.chopped) charge(body.costMs);
      resolve("aborted");
    });
  });
}

class NodeSink implements ResponseSink {
  readonly #response: ServerResponse;
  gone = false;

  constructor(response: ServerResponse, abort: AbortController) {
    this.#response = response;
    response.on("close", () => {
      if (response.writableFinished) return;
      this.gone = true;
      abort.abort();
    });
  }

  whole(status: number, headers: Headers, body: Uint8Array | undefined, length?: number): void {
    if (this.gone) return;
    this.#setHeaders(headers);
    const bytes = body?.byteLength ?? length;
    if (bytes !== undefined && status !== 204 && status !== 304)
      this.#response.setHeader("content-length", bytes);
    this.#response.writeHead(status);
    this.#response.end(body);
  }

  start(status: number, headers: Headers): void {
    if (this.gone) return;
    this.#setHeaders(headers);
    this.#response.writeHead(status);
  }

  write(chunk: Uint8Array): Promise<void> {
    const response = this.#response;
    if (this.gone || response.write(chunk)) return Promise.resolve();
    return new Promise((resolve) => {
      const go = () => {
        response.off("drain", go);
        response.off("close", go);
        resolve();
      };
      response.on("drain", go);
      response.on("close", go);
    });
  }

  end(): void {
    if (!this.gone) this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }

  #setHeaders(headers: Headers): void {
    const closing = !this.#response.shouldKeepAlive;
    for (const [name, value] of headers) {
      if (name !== "set-cookie") this.#response.setHeader(name, value);
    }
    // Node takes a Connection field of ours for the whole of it.
    if (closing && headers.has("connection")) this.#response.setHeader("connection", "close, upgrade");
    const cookies = headers.getSetCookie();
    if (cookies.length > 0) this.#response.setHeader("set-cookie", cookies);
  }
}
