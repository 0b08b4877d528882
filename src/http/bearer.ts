import type { HttpRequest } from "./endpoint.ts";

/** The token of the Authorization header. Compares the scheme with case, as Home Assistant does. */
export function bearerOf(request: HttpRequest): string | undefined {
  const header = request.headers.get("authorization");
  return header?.startsWith("Bearer ") === true ? header.slice("Bearer ".length) : undefined;
}
