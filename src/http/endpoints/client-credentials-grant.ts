import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import type { HttpResponse } from "../endpoint.ts";
import type { HttpObserver } from "../observer.ts";
import { decided, type GrantRequest, tokenAnswer } from "./token-answer.ts";

export interface ClientGrantOptions {
  readonly authority: Authority;
  readonly observer: HttpObserver;
}

/** `grant_type=client_credentials` (RFC 6749 section 4.4). */
export async function grantForClient(
  request: GrantRequest,
  options: ClientGrantOptions,
): Promise<HttpResponse> {
  const { client, form, peer } = request;
  const about = { grant: "client_credentials", address: peer.address, clientId: client?.id ?? null };
  const grant = await decided(options.observer, about, async () => {
    if (client === undefined) throw new AuthError("invalid_client_authentication", { detail: "no client" });
    if (client.registered === undefined) throw new AuthError("unauthorized_client");
    const wishes = { scope: form.get("scope") ?? null, resource: form.get("resource") ?? null };
    return await options.authority.clientCredentials.grant(client.registered, wishes, peer);
  });
  return await tokenAnswer(options.authority, request, grant, false);
}
