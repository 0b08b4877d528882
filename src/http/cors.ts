import { empty } from "./answers.ts";
import type { HttpRequest, HttpResponse } from "./endpoint.ts";

/**
 * The origins whose pages may read an answer. `any`: all, for the token endpoints and public documents, as in Home
 * Assistant. `configured`: those of the configuration. `none`: no other. Credentials are never allowed: no cookie
 * carries a right here.
 */
export type CorsRule = "any" | "configured" | "none";

const allowedHeaders = "Origin, Accept, X-Requested-With, Content-Type, Authorization";

export interface Cors {
  /** Adds the headers that let the origin read `response`. */
  allow(request: HttpRequest, response: HttpResponse, rule: CorsRule): HttpResponse;
  /** The answer to OPTIONS. */
  preflight(request: HttpRequest, rule: CorsRule, methods: readonly string[]): HttpResponse;
}

export function createCors(configured: readonly string[]): Cors {
  const known = new Set(configured);
  const allowedOrigin = (request: HttpRequest, rule: CorsRule): string | undefined => {
    const origin = request.headers.get("origin");
    if (origin === undefined || rule === "none") return undefined;
    return rule === "any" || known.has("*") || known.has(origin) ? origin : undefined;
  };
  const allow = (request: HttpRequest, response: HttpResponse, rule: CorsRule): HttpResponse => {
    if (rule === "none") return response;
    const { vary } = response.headers;
    const origin = allowedOrigin(request, rule);
    const headers = {
      ...response.headers,
      vary: vary === undefined ? "Origin" : `${vary}, Origin`,
      ...(origin === undefined ? {} : { "access-control-allow-origin": origin }),
    };
    return { ...response, headers };
  };
  return {
    allow,
    preflight(request, rule, methods) {
      const allowed = methods.join(", ");
      const rights = {
        "access-control-allow-methods": allowed,
        "access-control-allow-headers": allowedHeaders,
        "access-control-max-age": "600",
      };
      const isAllowed = allowedOrigin(request, rule) !== undefined;
      return allow(request, empty(204, { allow: allowed, ...(isAllowed ? rights : {}) }), rule);
    },
  };
}
