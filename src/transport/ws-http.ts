import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpEntry, HttpGate, HttpHandler } from "../http/endpoint.ts";
import { BodyCollector } from "./body-collector.ts";
import { askGate, askHandler, type Outgoing, type RequestHead, toRequest } from "./http-exchange.ts";
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
  const body = head.fields.hasBody ? await readBody(request, options.maxBodyBytes, entry.charge) : undefined;
  if (body === "aborted" || response.destroyed) return;
  if (body === "too_large") return refuse(bodyTooLarge);
  const answer = await askHandler(options.http, entry.peer, () => toRequest(head, body), options.onError);
  if (answer.refused !== undefined) return refuse(answer.refused);
  try {
    send(response, answer.outgoing);
  } catch (error) {
    options.onError(error);
    response.destroy();
  }
}

function send(response: ServerResponse, { status, headers, body, length }: Outgoing): void {
  if (response.destroyed) return;
  // Node takes a Connection field of ours for the whole of it.
  const isLast = headers.connection !== undefined && !response.shouldKeepAlive;
  response.writeHead(status, {
    ...headers,
    ...(length === undefined ? {} : { "content-length": String(length) }),
    ...(isLast ? { connection: "close, upgrade" } : {}),
  });
  response.end(body);
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

type Body = Uint8Array | "too_large" | "aborted";

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
