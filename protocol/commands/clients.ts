import { type Static, Type } from "typebox";

import { Cursor, command, Name, OpaqueId, PageFields } from "./define.ts";

const Text = Type.Union([Type.String(), Type.Null()]);
const ClientId = Type.String({ minLength: 1, maxLength: 31, pattern: "^[A-Za-z0-9][A-Za-z0-9._-]*$" });

/** `login` is ours: a login on the socket that opens a session, without a code. */
export const GrantType = Type.Union([
  Type.Literal("authorization_code"),
  Type.Literal("refresh_token"),
  Type.Literal("client_credentials"),
  Type.Literal("urn:ietf:params:oauth:grant-type:device_code"),
  Type.Literal("login"),
]);

export type GrantType = Static<typeof GrantType>;

export const ClientAuthMethod = Type.Union([
  Type.Literal("none"),
  Type.Literal("client_secret"),
  Type.Literal("private_key_jwt"),
]);

const RedirectUris = Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { maxItems: 32 });
const GrantTypes = Type.Array(GrantType, { maxItems: 8 });
const Scopes = Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 64 });
const Resources = Type.Array(Type.String({ minLength: 1, maxLength: 512 }), { maxItems: 32 });
/** Public keys (RFC 7517) as JSON text: a key has members that a schema of messages does not name. */
const Keys = Type.String({ minLength: 2, maxLength: 8192, description: "A JWKS, as JSON text." });

/** A registered client. Nothing shows a secret again. */
export const ClientInfo = Type.Object({
  client_id: Type.String(),
  name: Type.String(),
  auth_method: ClientAuthMethod,
  redirect_uris: Type.Array(Type.String()),
  grant_types: Type.Array(Type.String()),
  scopes: Type.Array(Type.String()),
  resources: Type.Array(Type.String()),
  user_id: Text,
  require_pushed_requests: Type.Boolean(),
  backchannel_logout_uri: Text,
  rotate_refresh_tokens: Type.Boolean(),
  /** `configuration`: no command changes it. */
  source: Type.Union([Type.Literal("configuration"), Type.Literal("store")]),
});
export type ClientInfo = Static<typeof ClientInfo>;

const ClientWithSecret = Type.Object({ client: ClientInfo, client_secret: Text });

const changeable = {
  redirect_uris: Type.Optional(RedirectUris),
  grant_types: Type.Optional(GrantTypes),
  scopes: Type.Optional(Scopes),
  resources: Type.Optional(Resources),
  user_id: Type.Optional(Type.Union([OpaqueId, Type.Null()])),
  keys: Type.Optional(Keys),
  require_pushed_requests: Type.Optional(Type.Boolean()),
  backchannel_logout_uri: Type.Optional(
    Type.Union([Type.String({ minLength: 1, maxLength: 1024 }), Type.Null()]),
  ),
  rotate_refresh_tokens: Type.Optional(Type.Boolean()),
};

/** Registered clients, for administrators. */
export const clientCommands = {
  "gatehouse/clients/list": command(
    "gatehouse/clients/list",
    "admin",
    PageFields,
    Type.Object({ clients: Type.Array(ClientInfo), cursor: Cursor }),
  ),
  "gatehouse/clients/register": command(
    "gatehouse/clients/register",
    "admin",
    {
      client_id: ClientId,
      name: Type.Optional(Name),
      auth_method: Type.Optional(ClientAuthMethod),
      ...changeable,
    },
    ClientWithSecret,
  ),
  "gatehouse/clients/update": command(
    "gatehouse/clients/update",
    "admin",
    { client_id: ClientId, name: Type.Optional(Name), ...changeable },
    ClientInfo,
  ),
  "gatehouse/clients/new_secret": command(
    "gatehouse/clients/new_secret",
    "admin",
    { client_id: ClientId },
    ClientWithSecret,
  ),
  "gatehouse/clients/remove": command(
    "gatehouse/clients/remove",
    "admin",
    { client_id: ClientId },
    Type.Null(),
  ),
} as const;
