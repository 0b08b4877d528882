import { empty } from "./answers.ts";

/**
 * The origins whose pages may read an answer. `any`: all, for the token endpoints and public documents, as in Home
 * Assistant. `configured`: those of the configuration. `none`: no other. Credentials are never allowed: no cookie
 * carries a right here.
 */
export type CorsRule = "any" | "configured" | "none";

const allowedHeaders = "Origin, Accept, X-Requested-With, Content-Type, Authorization";

export interface Cors {
  /** Adds the headers that let the origin read `response`. */
  allow(request: Request, response: Response, rule: CorsRule): Response;
  /** The answer to OPTIONS. */
  preflight(request: Request, rule: CorsRule, methods: readonly string[]): Response;
}

export function createCors(configured: readonly string[]): Cors {
  const known = new Set(configured);
  const allowedOrigin = (request: Request, rule: CorsRule): string | undefined => {
    const origin = request.headers.get("origin");
    if (origin === null || rule === "none") return undefined;
    return rule === "any" || known.has("*") || known.has(origin) ? origin : undefined;
  };
  const allow = (request: Request, response: Response, rule: CorsRule): Response => {
    if (rule === "none") return response;
    response.headers.append("vary", "Origin");
    const origin = allowedOrigin(request, rule);
    if (origin !== undefined) response.headers.set("access-control-allow-origin", origin);
    return response;
  };
  return {
    allow,
    preflight(request, rule, methods) {
      const response = empty(204, { allow: methods.join(", ") });
      if (allowedOrigin(request, rule) !== undefined) {
        response.headers.set("access-control-allow-methods", methods.join(", "));
        response.headers.set("access-control-allow-headers", allowedHeaders);
        response.headers.set("access-control-max-age", "600");
      }
      return allow(request, response, rule);
    },
  };
}
