import { Type } from "typebox";

import { GrantType } from "../../../protocol/commands/clients.ts";

const strict = { additionalProperties: false } as const;
const Path = Type.String({ minLength: 1, maxLength: 1024 });

/** A registered client in the configuration. */
export const ClientEntry = Type.Object(
  {
    client_id: Type.String({
      minLength: 1,
      maxLength: 31,
      description: "Up to 31 letters, digits, `.`, `_` and `-`.",
    }),
    name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 128,
        description: "What people see; the client id by default.",
      }),
    ),
    secret_file: Type.Optional(
      Type.String({
        ...Path,
        description: "File with the client's secret of at least 32 characters, for a client that keeps one.",
      }),
    ),
    keys_file: Type.Optional(
      Type.String({
        ...Path,
        description: "File with the client's public keys (JWKS), for `private_key_jwt`.",
      }),
    ),
    redirect_uris: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
        maxItems: 32,
        description:
          "Where a code may be sent, compared character by character; the port of `http://127.0.0.1` and `http://[::1]` is free.",
      }),
    ),
    grant_types: Type.Optional(
      Type.Array(GrantType, {
        maxItems: 8,
        description:
          "`authorization_code` and `refresh_token` by default. `login` opens sessions on the socket.",
      }),
    ),
    scopes: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
        maxItems: 64,
        description: "What its tokens may do at most; `openid` and `profile` by default.",
      }),
    ),
    resources: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 512 }), {
        maxItems: 32,
        description: "URLs of backends that its tokens may be for (RFC 8707).",
      }),
    ),
    user_id: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: "The system user of `client_credentials`." }),
    ),
    require_pushed_requests: Type.Optional(
      Type.Boolean({ description: "Whether it must push its authorization requests (RFC 9126)." }),
    ),
    backchannel_logout_uri: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1024,
        description: "Where the gateway posts a logout token when sessions of the client have ended.",
      }),
    ),
    rotate_refresh_tokens: Type.Optional(
      Type.Boolean({ description: "Whether each refresh gives a new refresh token; true by default." }),
    ),
  },
  strict,
);
