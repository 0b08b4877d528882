import { json } from "../answers.ts";
import type { Endpoint } from "../exchange.ts";

export interface MetadataOptions {
  /** The `iss` of access tokens. */
  readonly issuer: () => string;
  /** Without a trailing slash. */
  readonly publicUrl: () => string;
}

/** `GET /.well-known/oauth-authorization-server` (RFC 8414): what exists, and nothing else. */
export function metadataEndpoint({ issuer, publicUrl }: MetadataOptions): Endpoint {
  return () => {
    const base = publicUrl();
    const body = {
      issuer: issuer(),
      authorization_endpoint: `${base}/auth/authorize`,
      authorization_response_iss_parameter_supported: true,
      token_endpoint: `${base}/auth/token`,
      token_endpoint_auth_methods_supported: ["none"],
      revocation_endpoint: `${base}/auth/revoke`,
      revocation_endpoint_auth_methods_supported: ["none"],
      introspection_endpoint: `${base}/auth/introspect`,
      introspection_endpoint_auth_methods_supported: ["Bearer"],
      jwks_uri: `${base}/.well-known/jwks.json`,
      response_types_supported: ["code"],
      response_modes_supported: ["query"],
      grant_types_supported: ["authorization_code", "refresh_token"],
      code_challenge_methods_supported: ["S256"],
    };
    return json(body, { headers: { "cache-control": "public, max-age=300" } });
  };
}
