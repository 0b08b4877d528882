import { AuthError } from "../../auth/errors.ts";
import { deviceGrantType } from "../../auth/oauth/device-record.ts";
import { empty, neverStored } from "../answers.ts";
import { readForm } from "../body.ts";
import type { HttpResponse } from "../endpoint.ts";
import type { Endpoint } from "../exchange.ts";
import { knownClientId, requestingClient } from "../requesting-client.ts";
import { type CodeGrantOptions, grantForCode } from "./authorization-code-grant.ts";
import { grantForClient } from "./client-credentials-grant.ts";
import { grantForDevice } from "./device-code-grant.ts";
import { grantForRefreshToken } from "./refresh-token-grant.ts";
import { endSessionOf, type RevokeOptions } from "./revoke.ts";
import { type GrantRequest, recordRefusal } from "./token-answer.ts";

export interface TokenOptions extends CodeGrantOptions, RevokeOptions {
  readonly maxBodyBytes: number;
}

type Grant = (request: GrantRequest, options: TokenOptions) => Promise<HttpResponse>;

const grants: Readonly<Record<string, Grant>> = {
  authorization_code: grantForCode,
  refresh_token: grantForRefreshToken,
  client_credentials: grantForClient,
  [deviceGrantType]: grantForDevice,
};

/**
 * `POST /auth/token` (RFC 6749), in Home Assistant's order: the body, the deprecated `action=revoke`, the grant type,
 * the client, then the checks of the grant.
 */
export function tokenEndpoint(options: TokenOptions): Endpoint {
  return async ({ request, peer, timed }) => {
    const form = await timed(() => readForm(request, options.maxBodyBytes));
    if (form.get("action") === "revoke") {
      await endSessionOf(form, peer, options);
      return empty(200, neverStored);
    }
    const grantType = form.get("grant_type") ?? "";
    const grant = Object.hasOwn(grants, grantType) ? grants[grantType] : undefined;
    if (grant === undefined) throw new AuthError("unsupported_grant_type");
    const client = await requestingClient(options.authority, request, form).catch(async (error: unknown) => {
      const clientId = await knownClientId(options.authority, request, form);
      recordRefusal(options.observer, { grant: grantType, address: peer.address, clientId }, error);
      throw error;
    });
    return await grant({ form, client, peer }, options);
  };
}
