import { json } from "../answers.ts";
import type { Endpoint } from "../exchange.ts";

export interface MetadataOptions {
  /** The `iss` of access tokens. */
  readonly issuer: () => string;
  /** Without a trailing slash. */
  readonly publicUrl: () => string;
}

/**
 * `GET /.well-known/oauth-authorization-server` (RFC 8414): what exists, and nothing else. There is no authorization
 * endpoint yet, so there is no response type and no grant that needs one. An authorization code comes from a login
 * flow on the socket, for which this metadata has no term. `response_types_supported` is required, so it is there and
 * empty.
 */
export function metadataEndpoint({ issuer, publicUrl }: MetadataOptions): Endpoint {
  return () => {
    const base = publicUrl();
    const body = {
      issuer: issuer(),
      token_endpoint: `${base}/auth/token`,
      token_endpoint_auth_methods_supported: ["none"],
      revocation_endpoint: `${base}/auth/revoke`,
      revocation_endpoint_auth_methods_supported: ["none"],
      introspection_endpoint: `${base}/auth/introspect`,
      introspection_endpoint_auth_methods_supported: ["Bearer"],
      jwks_uri: `${base}/.well-known/jwks.json`,
      response_types_supported: [],
      grant_types_supported: ["refresh_token"],
    };
    return json(body, { headers: { "cache-control": "public, max-age=300" } });
  };
}
