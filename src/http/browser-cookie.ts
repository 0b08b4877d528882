import { parse } from "hono/utils/cookie";
import type { HttpRequest } from "./endpoint.ts";

/**
 * The cookie that tells browsers apart during a login. With TLS its name begins with `__Host-`: then no other host, also
 * no sibling domain, can plant it (RFC 6265bis section 4.1.3.2). Such a cookie has the path `/`. So the path of
 * `public_url` is in the name, and several gateways on one host do not overwrite each other's cookies. A `Path` would
 * keep no page of that host out (RFC 6265 section 8.6).
 */
function cookieName(publicUrl: string): string {
  const { protocol, pathname } = new URL(publicUrl);
  const name = `gatehouse-login${pathname.replace(/\/$/, "").replaceAll("/", "-")}`;
  return protocol === "https:" ? `__Host-${name}` : name;
}

/** Life of the cookie, seconds: that of a login flow, and a margin. */
const maxAgeSeconds = 900;

export function browserOf(request: HttpRequest, publicUrl: string): string | undefined {
  const name = cookieName(publicUrl);
  return parse(request.headers.get("cookie") ?? "", name)[name];
}

/** `Lax`: the browser sends it when the provider sends the person back, and not with what other pages load from here. */
export function browserCookie(value: string, publicUrl: string): string {
  const secure = publicUrl.startsWith("https:") ? "; Secure" : "";
  return `${cookieName(publicUrl)}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax${secure}`;
}
