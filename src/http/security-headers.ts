/** On every answer that is no page, also on those of the transports. */
export const dataHeaders = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
} as const;

/** On every answer, errors too: Home Assistant's (reference 3), stricter where nothing of ours is ever framed. */
export function secure(response: Response): Response {
  const { headers } = response;
  // A page brings its own.
  const policy = headers.get("content-security-policy");
  for (const [name, value] of Object.entries(dataHeaders)) headers.set(name, value);
  if (policy !== null) headers.set("content-security-policy", policy);
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  headers.delete("server");
  return response;
}
