import type { JSONWebKeySet } from "jose";
import { Type } from "typebox";
import { Compile } from "typebox/compile";

import type { GrantType } from "../../../protocol/commands/clients.ts";

import { recordKeys } from "../record-keys.ts";
import type { JsonObject, Step, StoredRecord } from "../store.ts";

/** How a client proves that it is the client. `client_secret`: in the header or in the body, as the client likes. */
export type ClientAuthMethod = "none" | "client_secret" | "private_key_jwt";

/** A JWKS (RFC 7517) of public keys. */
export type PublicKeys = JSONWebKeySet;

/** An application that an administrator has registered. */
export interface RegisteredClient {
  readonly id: string;
  /** For people. */
  readonly name: string;
  readonly authMethod: ClientAuthMethod;
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
}

const Text = Type.Union([Type.String(), Type.Null()]);

/** Unknown fields are allowed: a newer node may have written them. */
const ClientRecord = Compile(
  Type.Object({
    id: Type.String(),
    name: Type.String(),
    authMethod: Type.Union([
      Type.Literal("none"),
      Type.Literal("client_secret"),
      Type.Literal("private_key_jwt"),
    ]),
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
export function parseClient({ value }: StoredRecord): RegisteredClient | undefined {
  if (!ClientRecord.Check(value)) return undefined;
  const record = value as unknown as Omit<RegisteredClient, "source">;
  return { ...record, source: "store" };
}

export function clientPut({ source: _, ...client }: RegisteredClient): NonNullable<Step["put"]>[number] {
  return { key: recordKeys.client(client.id), value: client as unknown as JsonObject };
}
