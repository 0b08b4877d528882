import type { JSONWebKeySet } from "jose";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";

import { ClientAuthMethod, type GrantType } from "../../../protocol/commands/clients.ts";

import { recordKeys } from "../record-keys.ts";
import type { Checks, JsonObject, Step, StoredRecord } from "../store.ts";

/** How a client proves that it is the client. `client_secret`: in the header or in the body, as the client likes. */
type AuthMethod = Static<typeof ClientAuthMethod>;

/** A JWKS (RFC 7517) of public keys. */
export type PublicKeys = JSONWebKeySet;

/** An application that an administrator has registered. */
export interface RegisteredClient {
  readonly id: string;
  /** For people. */
  readonly name: string;
  readonly authMethod: AuthMethod;
  /** SHA-256 of the secret, base64url; only for `client_secret`. */
  readonly secretHash: string | null;
  /** Public keys of `private_key_jwt`. */
  readonly jwks: PublicKeys | null;
  readonly redirectUris: readonly string[];
  readonly grantTypes: readonly GrantType[];
  readonly scopes: readonly string[];
  /** Which other audiences its tokens may be for (RFC 8707). */
  readonly resources: readonly string[];
  /** The system user that `client_credentials` is for. */
  readonly userId: string | null;
  /** Whether only pushed authorization requests are accepted (RFC 9126 section 6). */
  readonly requiresPushedRequests: boolean;
  /** Where it is told that sessions have ended (OpenID Connect Back-Channel Logout); null: nowhere. */
  readonly logoutUri: string | null;
  /** Whether its sessions rotate their refresh tokens. */
  readonly rotates: boolean;
  readonly source: "configuration" | "store";
  /** Of its record; 0 in the configuration. */
  readonly version: number;
}

/** What a client has that is registered without saying so. */
export const registrationDefaults = {
  redirectUris: [],
  grantTypes: ["authorization_code", "refresh_token"],
  scopes: ["openid", "profile"],
  resources: [],
  userId: null,
  jwks: null,
  requiresPushedRequests: false,
  logoutUri: null,
  rotates: true,
} as const satisfies Partial<RegisteredClient>;

const Text = Type.Union([Type.String(), Type.Null()]);

/** Unknown fields are allowed: a newer node may have written them. */
const ClientRecord = Compile(
  Type.Object({
    id: Type.String(),
    name: Type.String(),
    authMethod: ClientAuthMethod,
    secretHash: Text,
    jwks: Type.Union([
      Type.Object({ keys: Type.Array(Type.Record(Type.String(), Type.Unknown())) }),
      Type.Null(),
    ]),
    redirectUris: Type.Array(Type.String()),
    grantTypes: Type.Array(Type.String()),
    scopes: Type.Array(Type.String()),
    resources: Type.Array(Type.String()),
    userId: Text,
    requiresPushedRequests: Type.Boolean(),
    logoutUri: Text,
    rotates: Type.Boolean(),
  }),
);

/** Undefined for a damaged record: nobody is that client. */
export function parseClient({ value, version }: StoredRecord): RegisteredClient | undefined {
  if (!ClientRecord.Check(value)) return undefined;
  const record = value as unknown as Omit<RegisteredClient, "source" | "version">;
  return { ...record, source: "store", version };
}

/** A commit with this check fails if the client was changed or removed since it was read. */
export function clientChecks({ id, source, version }: RegisteredClient): Checks {
  return source === "store" ? [{ key: recordKeys.client(id), version }] : [];
}

export function clientPut({
  source: _,
  version: __,
  ...client
}: RegisteredClient): NonNullable<Step["put"]>[number] {
  return { key: recordKeys.client(client.id), value: client as unknown as JsonObject };
}
