import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request as ask } from "node:https";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import type { Place } from "./raw-socket.ts";

/** `fetch` of a path at a port of this machine, with TLS under a test certificate if needed. */
export async function fetchOver(
  { port, tls }: Place,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  if (tls === undefined) return await fetch(`http://127.0.0.1:${port}${path}`, init);
  const asked = new Request(`https://127.0.0.1:${port}${path}`, init);
  const body = Buffer.from(await asked.arrayBuffer());
  const { method, headers } = asked;
  const request = ask(asked.url, { ...tls, method, headers: Object.fromEntries(headers), agent: false });
  request.end(body);
  const [answer]: IncomingMessage[] = await once(request, "response");
  if (answer === undefined) throw new Error("no answer");
  const { statusCode: status = 0, rawHeaders } = answer;
  const fields = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    fields.append(rawHeaders[i] ?? "", rawHeaders[i + 1] ?? "");
  const bodiless = method === "HEAD" || status === 204 || status === 304;
  const stream = Readable.toWeb(answer) as ReadableStream<Uint8Array<ArrayBuffer>>;
  return new Response(bodiless ? null : (stream as globalThis.ReadableStream<Uint8Array<ArrayBuffer>>), {
    status,
    headers: fields,
  });
}
