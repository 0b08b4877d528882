import { setImmediate as nextTurn } from "node:timers/promises";
import type { HttpEntry, HttpGate, HttpHandler, HttpPeer } from "../http/endpoint.ts";
import type { HeaderFields } from "./header-fields.ts";
import { internalError, malformed, type Refusal, refusal } from "./refusal.ts";

/** A body that is too large is read and thrown away up to this, so that the client can read the 413. */
export const MAX_DISCARDED_BYTES = 1024 * 1024;

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
/** Belong to one connection, which is the transport's (RFC 9110 section 7.6.1), or are computed by it. */
const NOT_COPIED = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"]);

/** A request as both HTTP parsers give it, with nothing left that belongs to the parser. */
export interface RequestHead {
  readonly method: string;
  /** Raw, before any decoding. */
  readonly path: string;
  /** Raw, without the leading `?`. */
  readonly query: string;
  readonly fields: HeaderFields;
  readonly address: string;
  readonly isHttp10: boolean;
}

/** Path and query of a request target in origin or absolute form (RFC 9112 section 3.2); undefined for others. */
export function splitTarget(target: string): { path: string; query: string } | undefined {
  const origin = target.startsWith("/") ? target : withoutAuthority(target);
  if (origin === undefined) return undefined;
  const mark = origin.indexOf("?");
  if (mark === -1) return { path: origin, query: "" };
  return { path: origin.slice(0, mark), query: origin.slice(mark + 1) };
}

function withoutAuthority(target: string): string | undefined {
  const match = /^https?:\/\/[^/?#]*([/?].*)?$/i.exec(target);
  if (match === null) return undefined;
  const rest = match[1] ?? "/";
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/** Why no handler can be asked. Undefined if one can. */
export function requestRefusal(head: RequestHead): Refusal | undefined {
  return METHODS.has(head.method) ? undefined : refusal(501, "Method is not implemented");
}

/**
 * The web-standard request. Its URL has the Host header where that is one, else `localhost`. Throws TypeError when
 * the target is no URL, or its path no longer the one that was sent: `/a/../b`, `/a/%2e%2e/b`, `/a\b`, `/b#c` could
 * pass a proxy that keeps `/b` to itself.
 */
export function toRequest(
  head: RequestHead,
  body: Uint8Array<ArrayBuffer> | undefined,
  signal: AbortSignal,
): Request {
  const host = head.fields.get("host") ?? "";
  const query = head.query === "" ? "" : `?${head.query}`;
  const url = new URL(`http://${HOST.test(host) ? host : "localhost"}${head.path}${query}`);
  if (url.pathname !== head.path) throw new TypeError("the path is not in its normal form");
  const withBody = body !== undefined && head.method !== "GET" && head.method !== "HEAD";
  return new Request(url, {
    method: head.method,
    headers: head.fields.entries(),
    signal,
    ...(withBody ? { body } : {}),
  });
}

/** The request gate's answer. If the gate throws, that is reported and answered 500. */
export function askGate(
  gate: HttpGate | undefined,
  { path, method, address, fields }: RequestHead,
  onError: (error: unknown) => void,
): HttpEntry {
  if (gate === undefined)
    return { accept: true, peer: { address }, leave: () => undefined, charge: () => undefined };
  try {
    const { hasBody } = fields;
    return gate({ path, method, hasBody, address, header: (name) => fields.get(name) });
  } catch (error) {
    onError(error);
    return { accept: false, ...internalError };
  }
}

/**
 * Asks the handler. Never rejects: a request that is no URL is 400. If the handler throws, that is reported and
 * answered 500.
 */
export async function askHandler(
  handler: HttpHandler,
  peer: HttpPeer,
  request: () => Request,
  onError: (error: unknown) => void,
): Promise<Response | Refusal> {
  let asked: Request;
  try {
    asked = request();
  } catch {
    return malformed;
  }
  try {
    return await handler(asked, peer);
  } catch (error) {
    onError(error);
    return internalError;
  }
}

/** Where an answer goes. Once the client has gone, every method does nothing. */
export interface ResponseSink {
  /** True when the client has gone. */
  readonly gone: boolean;
  /** The whole answer. Without `body` none is sent: HEAD, 204, 304; `length` is what a GET would have had. */
  whole(status: number, headers: Headers, body: Uint8Array | undefined, length?: number): void;
  /** The start of an answer whose length is not known. */
  start(status: number, headers: Headers): void;
  /** Resolves when more may be written, also when the client has gone. */
  write(chunk: Uint8Array): Promise<void>;
  end(): void;
  /** Breaks an answer off in the middle, so that the client sees that it is not whole. */
  destroy(): void;
}

/** Sends a handler's answer: at once if it is complete, otherwise as it comes. Rejects if the body fails. */
export async function sendResponse(response: Response, method: string, sink: ResponseSink): Promise<void> {
  const { status, body } = response;
  const headers = endToEnd(response);
  if (body === null || method === "HEAD" || status === 204 || status === 304) {
    await body?.cancel();
    if (body === null && method !== "HEAD" && status !== 204 && status !== 304)
      return sink.whole(status, headers, new Uint8Array());
    return sink.whole(status, headers, undefined, lengthOf(response.headers));
  }
  const reader = body.getReader();
  try {
    await pump(reader, sink, status, headers);
  } finally {
    // Inert after the last chunk; after a fault or when the client has gone it tells the source to stop.
    await reader.cancel().catch(() => undefined);
  }
}

async function pump(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  sink: ResponseSink,
  status: number,
  headers: Headers,
): Promise<void> {
  const first = await reader.read();
  if (first.done) return sink.whole(status, headers, new Uint8Array());
  const second = reader.read();
  const ready = await Promise.race([second, nextTurn(undefined)]);
  if (ready?.done) return sink.whole(status, headers, first.value);
  sink.start(status, headers);
  try {
    await sink.write(first.value);
    for (let part = await second; !part.done && !sink.gone; part = await reader.read())
      await sink.write(part.value);
  } catch (error) {
    sink.destroy();
    throw error;
  }
  sink.end();
}

/** Without what belongs to the connection; a 426 has to name the protocol (RFC 9110 section 15.5.22). */
function endToEnd({ status, headers }: Response): Headers {
  const kept = new Headers(headers);
  for (const name of NOT_COPIED) kept.delete(name);
  const upgrade = status === 426 ? headers.get("upgrade") : null;
  if (upgrade !== null) {
    kept.set("upgrade", upgrade);
    kept.set("connection", "upgrade");
  }
  return kept;
}

function lengthOf(headers: Headers): number | undefined {
  const length = headers.get("content-length");
  return length !== null && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}
