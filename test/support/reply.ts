import type { HttpHeaders, HttpResponse } from "../../src/http/endpoint.ts";

interface ReplyInit {
  readonly status?: number;
  readonly headers?: HttpHeaders;
}

/** A handler's answer, made of what `new Response` takes. */
export function reply(
  body: HttpResponse["body"],
  { status = 200, headers = {} }: ReplyInit = {},
): HttpResponse {
  return { status, headers, body };
}

export function replyJson(value: unknown): HttpResponse {
  return reply(JSON.stringify(value), { headers: { "content-type": "application/json" } });
}

export function textOf({ body }: { readonly body: Uint8Array }): string {
  return Buffer.from(body).toString();
}
