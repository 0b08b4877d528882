import type { Params } from "../../protocol/commands/index.ts";
import { clientInfoOf } from "../auth/clients/client-info.ts";
import { type PublicKeys, registrationDefaults } from "../auth/clients/client-record.ts";
import { publicKeysIn } from "../auth/clients/client-rules.ts";
import type { ClientChanges } from "../auth/clients/registered-clients.ts";
import { AuthError } from "../auth/errors.ts";
import type { Command } from "../connection/command.ts";
import type { SocketSession } from "../connection/session.ts";
import { defineCommand } from "./guarded-command.ts";
import { pageRequestOf } from "./page-request.ts";
import type { CommandParts } from "./registry.ts";

type Changes = Omit<Params<"gatehouse/clients/update">, "id" | "type">;

/** Registered clients, for administrators. */
export function clientCommands(parts: CommandParts): readonly Command[] {
  const { authority } = parts;
  const { clients } = authority;
  /** Whoever has such a client's secret or key has the rights of its system user, for as long as the client is there. */
  const requireStepUpForService = async (
    { client_id, user_id }: { readonly client_id: string; readonly user_id?: string | null },
    { principal }: SocketSession,
  ) => {
    const isService = typeof user_id === "string" || (await clients.find(client_id))?.userId != null;
    if (isService) await authority.stepUps.require("user_rights", principal);
  };
  return [
    defineCommand("gatehouse/clients/list", authority, async (message) => {
      const page = await clients.page(pageRequestOf(message));
      return { clients: page.clients.map(clientInfoOf), cursor: page.next ?? null };
    }),
    defineCommand("gatehouse/clients/register", authority, async (message, session) => {
      await requireStepUpForService(message, session);
      const made = await parts.authorityOf(session).clients.register({
        id: message.client_id,
        name: message.name ?? message.client_id,
        authMethod: message.auth_method ?? "none",
        ...registrationDefaults,
        ...changesOf(message),
      });
      return { client: clientInfoOf(made.client), client_secret: made.secret };
    }),
    defineCommand("gatehouse/clients/update", authority, async (message, session) => {
      await requireStepUpForService(message, session);
      const changed = await parts.authorityOf(session).clients.update(message.client_id, changesOf(message));
      return clientInfoOf(changed);
    }),
    defineCommand("gatehouse/clients/new_secret", authority, async ({ client_id }, session) => {
      await requireStepUpForService({ client_id }, session);
      const { client, secret } = await parts.authorityOf(session).clients.renewSecret(client_id);
      return { client: clientInfoOf(client), client_secret: secret };
    }),
    defineCommand("gatehouse/clients/remove", authority, async ({ client_id }, session) => {
      await parts.authorityOf(session).clients.remove(client_id);
      return null;
    }),
  ];
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
function keysIn(text: string): PublicKeys {
  const keys = publicKeysIn(text);
  if (keys === undefined) throw new AuthError("invalid_format", { publicMessage: "keys is no JWKS" });
  return keys;
}
