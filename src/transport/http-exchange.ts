import { validateHeaderName, validateHeaderValue } from "node:http";
import type {
  HttpEntry,
  HttpGate,
  HttpHandler,
  HttpHeaders,
  HttpPeer,
  HttpRequest,
  HttpResponse,
} from "../http/endpoint.ts";
import type { HeaderFields } from "./header-fields.ts";
import { internalError, malformed, type Refusal, refusal } from "./refusal.ts";

/** A body that is too large is read and thrown away up to this, so that the client can read the 413. */
export const MAX_DISCARDED_BYTES = 1024 * 1024;

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
/** Belong to one connection, which is the transport's (RFC 9110 section 7.6.1), or are computed by it. */
const NOT_COPIED = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"]);
const noBody = new Uint8Array(0);

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
  /** See `UpgradeRequest`. */
  readonly channelBinding?: (() => Uint8Array | undefined) | undefined;
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
 * What the handler is given. Its URL has the Host header where that is one, else `localhost`. Throws TypeError when
 * the target is no URL, or its path no longer the one that was sent: `/a/../b`, `/a/%2e%2e/b`, `/a\b`, `/b#c` could
 * pass a proxy that keeps `/b` to itself.
 */
export function toRequest(head: RequestHead, body: Uint8Array | undefined): HttpRequest {
  const host = head.fields.get("host") ?? "";
  const query = head.query === "" ? "" : `?${head.query}`;
  const url = new URL(`http://${HOST.test(host) ? host : "localhost"}${head.path}${query}`);
  if (url.pathname !== head.path) throw new TypeError("the path is not in its normal form");
  return { method: head.method, url, headers: head.fields, body: body ?? noBody };
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
 * Asks the handler. Never rejects: a request that is no URL is 400. If the handler throws, or answers with a header that
 * cannot be sent, that is reported and answered 500.
 */
export async function askHandler(
  handler: HttpHandler,
  peer: HttpPeer,
  request: () => HttpRequest,
  onError: (error: unknown) => void,
): Promise<Answer> {
  let asked: HttpRequest;
  try {
    asked = request();
  } catch {
    return { refused: malformed };
  }
  try {
    const response = await handler(asked, peer);
    return { outgoing: outgoingOf(response, asked.method) };
  } catch (error) {
    onError(error);
    return { refused: internalError };
  }
}

/** The handler's answer, or what the transport says in its place, after which the connection closes. */
export type Answer =
  | { readonly outgoing: Outgoing; readonly refused?: undefined }
  | { readonly outgoing?: undefined; readonly refused: Refusal };

/** A handler's answer as it is sent. */
export interface Outgoing {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** Undefined: none is sent, for HEAD, 204 and 304. */
  readonly body: string | Uint8Array | undefined;
  /** Bytes of the body, for HEAD those that GET would have. Undefined for 204 and 304: they have no Content-Length. */
  readonly length: number | undefined;
}

function outgoingOf(response: HttpResponse, method: string): Outgoing {
  const { status, body } = response;
  const headers = endToEnd(response);
  if (status === 204 || status === 304) return { status, headers, body: undefined, length: undefined };
  return { status, headers, body: method === "HEAD" ? undefined : body, length: Buffer.byteLength(body) };
}

/**
 * Without what belongs to the connection; a 426 has to name the protocol (RFC 9110 section 15.5.22). Throws TypeError for a
 * name or a value that could end its field: not every library under a transport looks at them.
 */
function endToEnd({ status, headers }: HttpResponse): HttpHeaders {
  const kept: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || NOT_COPIED.has(name)) continue;
    validateHeaderName(name);
    for (const one of typeof value === "string" ? [value] : value) validateHeaderValue(name, one);
    kept[name] = value;
  }
  const { upgrade } = headers;
  if (status !== 426 || upgrade === undefined) return kept;
  return { ...kept, upgrade, connection: "upgrade" };
}
