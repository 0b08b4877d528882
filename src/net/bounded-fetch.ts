import { lookup } from "node:dns";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";

import { isPublicAddress } from "./public-address.ts";

/** A request to a server elsewhere failed before there was an answer that could be read. */
export class UpstreamRequestError extends Error {
  /** False for an answer that is too large, and for an address that no request is sent to. */
  readonly mayPass: boolean;
  constructor(message: string, mayPass: boolean) {
    super(message);
    this.name = "UpstreamRequestError";
    this.mayPass = mayPass;
  }
}

/** As much of fetch's as is used: what openid-client and jose pass to a fetch of ours, among others. */
export interface BoundedFetchInit {
  readonly method?: string | undefined;
  readonly headers?: Headers | Readonly<Record<string, string>> | undefined;
  readonly body?: unknown;
  readonly signal?: AbortSignal | null | undefined;
}

export type BoundedFetch = (url: string, init?: BoundedFetchInit) => Promise<Response>;

export interface BoundedFetchOptions {
  /**
   * The origin that the operator configured; null: none. It may be anywhere. Every other address must be on the public
   * Internet and use TLS: strangers, and documents of providers, must not make the gateway send requests to hosts
   * that only the gateway reaches.
   */
  readonly trustedOrigin: string | null;
  /** Longest body of an answer. */
  readonly maxBytes: number;
  /** What becomes of a longer one: it is refused (the default), or only its beginning is read. */
  readonly longer?: "refused" | "cut" | undefined;
  /** From the look-up of the name to the last byte, ms. */
  readonly timeoutMs: number;
}

/**
 * A fetch for answers of servers that may be hostile. It follows no redirect, reads at most `maxBytes`, ends after
 * `timeoutMs`, and asks for no compression, so a small answer stays small. Each request has a connection of its own,
 * because the address is checked when the connection is opened. Rejects with `UpstreamRequestError`.
 */
export function createBoundedFetch(options: BoundedFetchOptions): BoundedFetch {
  return async (address, init = {}) => {
    const url = new URL(address);
    const isTrusted = url.origin === options.trustedOrigin;
    if (!isTrusted) refuseInternal(url);
    return await send(url, init, { ...options, lookup: isTrusted ? undefined : publicLookup });
  };
}

/** A name is checked when it is looked up. For a literal address there is no look-up. */
function refuseInternal(url: URL): void {
  if (url.protocol !== "https:") throw refused(`${url.origin} does not use TLS`);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0 && !isPublicAddress(host)) throw refused(`${host} is an internal address`);
}

/**
 * Looks a name up, and refuses it if one of its addresses is internal. The connection is opened to the addresses that
 * were checked, so the name cannot mean others meanwhile.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, "", 0);
    const [first] = addresses;
    if (first === undefined || !addresses.every(({ address }) => isPublicAddress(address)))
      return callback(refused(`${hostname} has an internal address`), "", 0);
    return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family);
  });
};

type Sending = BoundedFetchOptions & { readonly lookup: LookupFunction | undefined };

function send(url: URL, init: BoundedFetchInit, sending: Sending): Promise<Response> {
  const { method = "GET", signal } = init;
  const body = bodyOf(init.body);
  const headers = {
    ...Object.fromEntries(new Headers(init.headers)),
    ...(body === undefined ? {} : { "content-length": String(body.byteLength) }),
  };
  return new Promise((resolve, reject) => {
    const { request: open } = url.protocol === "https:" ? https : http;
    const request = open(url, { method, headers, agent: false, lookup: sending.lookup });
    const end = (error: UpstreamRequestError) => {
      reject(error);
      request.destroy(error);
    };
    const late = () => end(new UpstreamRequestError(`${url.host} did not answer in time`, true));
    const timer = setTimeout(late, sending.timeoutMs);
    signal?.addEventListener("abort", late, { once: true });
    request.once("close", () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", late);
    });
    request.on("error", (error) => reject(asRequestError(url, error)));
    request.once("response", (response) => {
      readResponse(url, response, sending).then(resolve, end);
    });
    request.end(body);
  });
}

function bodyOf(body: unknown): Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (body instanceof Uint8Array) return body;
  if (typeof body === "string" || body instanceof URLSearchParams) return Buffer.from(body.toString());
  throw new TypeError("a request body of this kind is not sent");
}

async function readResponse(
  url: URL,
  response: IncomingMessage,
  { maxBytes, longer }: BoundedFetchOptions,
): Promise<Response> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.byteLength;
      if (size > maxBytes && longer === "cut") {
        chunks.push(chunk.subarray(0, chunk.byteLength - (size - maxBytes)));
        response.destroy();
        break;
      }
      if (size > maxBytes) throw new UpstreamRequestError(`the answer of ${url.host} is too large`, false);
      chunks.push(chunk);
    }
  } catch (error) {
    throw asRequestError(url, error);
  }
  const { statusCode = 0, rawHeaders } = response;
  if (statusCode < 200 || statusCode > 599)
    throw new UpstreamRequestError(`${url.host} answered with status ${statusCode}`, false);
  const empty = statusCode === 204 || statusCode === 205 || statusCode === 304;
  return new Response(empty ? null : Buffer.concat(chunks), {
    status: statusCode,
    headers: headersOf(rawHeaders),
  });
}

function headersOf(raw: readonly string[]): Headers {
  const headers = new Headers();
  for (let at = 0; at + 1 < raw.length; at += 2) headers.append(raw[at] ?? "", raw[at + 1] ?? "");
  return headers;
}

function asRequestError(url: URL, error: unknown): UpstreamRequestError {
  if (error instanceof UpstreamRequestError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "no answer";
  return new UpstreamRequestError(`${url.host}: ${code}`, true);
}

function refused(message: string): UpstreamRequestError {
  return new UpstreamRequestError(`${message}: no request is sent there`, false);
}
