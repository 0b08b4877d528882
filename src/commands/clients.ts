import type { ClientInfo } from "../../protocol/commands/clients.ts";
import type { Params } from "../../protocol/commands/index.ts";
import type { PublicKeys, RegisteredClient } from "../auth/clients/client-record.ts";
import type { ClientChanges } from "../auth/clients/registered-clients.ts";
import { AuthError } from "../auth/errors.ts";
import type { Command } from "../connection/command.ts";
import { defineCommand } from "./guarded-command.ts";
import { pageRequestOf } from "./page-request.ts";
import type { CommandParts } from "./registry.ts";

type Changes = Omit<Params<"gatehouse/clients/update">, "id" | "type">;

/** Registered clients, for administrators. */
export function clientCommands(parts: CommandParts): readonly Command[] {
  const { users, clients } = parts.authority;
  return [
    defineCommand("gatehouse/clients/list", users, async (message) => {
      const page = await clients.page(pageRequestOf(message));
      return { clients: page.clients.map(clientInfoOf), cursor: page.next ?? null };
    }),
    defineCommand("gatehouse/clients/register", users, async (message, session) => {
      const made = await parts.authorityOf(session).clients.register({
        id: message.client_id,
        name: message.name ?? message.client_id,
        authMethod: message.auth_method ?? "none",
        redirectUris: [],
        grantTypes: ["authorization_code", "refresh_token"],
        scopes: ["openid", "profile"],
        resources: [],
        userId: null,
        jwks: null,
        requiresPushedRequests: false,
        logoutUri: null,
        rotates: true,
        ...changesOf(message),
      });
      return { client: clientInfoOf(made.client), client_secret: made.secret };
    }),
    defineCommand("gatehouse/clients/update", users, async (message, session) => {
      const changed = await parts.authorityOf(session).clients.update(message.client_id, changesOf(message));
      return clientInfoOf(changed);
    }),
    defineCommand("gatehouse/clients/new_secret", users, async ({ client_id }, session) => {
      const { client, secret } = await parts.authorityOf(session).clients.renewSecret(client_id);
      return { client: clientInfoOf(client), client_secret: secret };
    }),
    defineCommand("gatehouse/clients/remove", users, async ({ client_id }, session) => {
      await parts.authorityOf(session).clients.remove(client_id);
      return null;
    }),
  ];
}

export function clientInfoOf(client: RegisteredClient): ClientInfo {
  return {
    client_id: client.id,
    name: client.name,
    auth_method: client.authMethod,
    redirect_uris: [...client.redirectUris],
    grant_types: [...client.grantTypes],
    scopes: [...client.scopes],
    resources: [...client.resources],
    user_id: client.userId,
    require_pushed_requests: client.requiresPushedRequests,
    backchannel_logout_uri: client.logoutUri,
    rotate_refresh_tokens: client.rotates,
    source: client.source,
  };
}

/** Only what the message names. */
function changesOf(message: Changes): ClientChanges {
  const changes = {
    name: message.name,
    redirectUris: message.redirect_uris,
    grantTypes: message.grant_types,
    scopes: message.scopes,
    resources: message.resources,
    userId: message.user_id,
    jwks: message.keys === undefined ? undefined : keysIn(message.keys),
    requiresPushedRequests: message.require_pushed_requests,
    logoutUri: message.backchannel_logout_uri,
    rotates: message.rotate_refresh_tokens,
  };
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
}

/** Throws `invalid_format`. */
export function keysIn(text: string): PublicKeys {
  try {
    const value: unknown = JSON.parse(text);
    const keys = typeof value === "object" && value !== null && "keys" in value ? value.keys : undefined;
    if (Array.isArray(keys) && keys.every((key) => typeof key === "object" && key !== null))
      return { keys } as PublicKeys;
  } catch {
    // Said below.
  }
  throw new AuthError("invalid_format", { publicMessage: "keys is no JWKS" });
}
