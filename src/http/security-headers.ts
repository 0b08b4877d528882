const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

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
  const isPage = headers.get("content-type")?.startsWith("text/html") === true;
  for (const [name, value] of Object.entries(dataHeaders)) headers.set(name, value);
  if (isPage) {
    headers.set("content-security-policy", pagePolicy);
    headers.set("permissions-policy", "camera=(), geolocation=(), microphone=()");
  }
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  headers.delete("server");
  return response;
}
