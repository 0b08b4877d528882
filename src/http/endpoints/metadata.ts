import { knownScopes } from "../../auth/clients/scopes.ts";
import { deviceGrantType } from "../../auth/oauth/device-record.ts";
import { json } from "../answers.ts";
import type { Endpoint } from "../exchange.ts";

export interface MetadataOptions {
  /** The `iss` of access tokens. */
  readonly issuer: () => string;
  /** Without a trailing slash. */
  readonly publicUrl: () => string;
}

const clientAuthentication = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
const assertionAlgorithms = ["ES256", "ES384", "RS256", "PS256", "EdDSA"];

/**
 * `GET /.well-known/oauth-authorization-server` (RFC 8414) and `/.well-known/openid-configuration` (OpenID Connect
 * Discovery): what exists, and nothing else.
 */
export function metadataEndpoint({ issuer, publicUrl }: MetadataOptions): Endpoint {
  return () => {
    const base = publicUrl();
    const body = {
      issuer: issuer(),
      authorization_endpoint: `${base}/auth/authorize`,
      authorization_response_iss_parameter_supported: true,
      token_endpoint: `${base}/auth/token`,
      token_endpoint_auth_methods_supported: clientAuthentication,
      token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
      pushed_authorization_request_endpoint: `${base}/auth/par`,
      device_authorization_endpoint: `${base}/auth/device_authorization`,
      userinfo_endpoint: `${base}/auth/userinfo`,
      revocation_endpoint: `${base}/auth/revoke`,
      revocation_endpoint_auth_methods_supported: clientAuthentication,
      revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
      introspection_endpoint: `${base}/auth/introspect`,
      introspection_endpoint_auth_methods_supported: [...clientAuthentication.slice(1), "Bearer"],
      introspection_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
      jwks_uri: `${base}/.well-known/jwks.json`,
      response_types_supported: ["code"],
      response_modes_supported: ["query"],
      grant_types_supported: ["authorization_code", "refresh_token", "client_credentials", deviceGrantType],
      code_challenge_methods_supported: ["S256"],
      scopes_supported: knownScopes,
      claims_supported: [
        "sub",
        "iss",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "at_hash",
        "sid",
        "amr",
        "acr",
        "name",
        "groups",
      ],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["ES256"],
      acr_values_supported: ["aal1", "aal2"],
      prompt_values_supported: ["none", "login"],
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
      request_parameter_supported: false,
      request_uri_parameter_supported: false,
      claims_parameter_supported: false,
    };
    return json(body, { headers: { "cache-control": "public, max-age=300" } });
  };
}
