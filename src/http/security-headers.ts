import type { HttpResponse } from "./endpoint.ts";

/** On every answer that is no page, also on those of the transports. */
export const dataHeaders = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
} as const;

/** On every answer, errors too: Home Assistant's, stricter where nothing of ours is ever framed. */
export function secure(response: HttpResponse): HttpResponse {
  // A page brings its own policy.
  const { "content-security-policy": policy = dataHeaders["content-security-policy"] } = response.headers;
  const headers = {
    "cache-control": "no-store",
    ...response.headers,
    ...dataHeaders,
    "content-security-policy": policy,
  };
  return { ...response, headers };
}
