import type { Authority } from "../../auth/authority.ts";
import { json } from "../answers.ts";
import type { Endpoint } from "../exchange.ts";

/**
 * `GET /.well-known/jwks.json` (RFC 7517). It may be cached for less time than passes between a key's publication and
 * its first signature. So a verifier that obeys the header knows every key in time.
 */
export function jwksEndpoint(authority: Authority, maxAgeSeconds: number): Endpoint {
  const headers = { "cache-control": `public, max-age=${maxAgeSeconds}` };
  return () => json(authority.keyring.jwks(), { headers });
}
