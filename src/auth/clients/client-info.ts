import type { ClientInfo } from "../../../protocol/commands/clients.ts";
import type { RegisteredClient } from "./client-record.ts";

/** A registered client as it is sent and printed: without its secret's hash and its keys. */
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
