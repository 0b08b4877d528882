import type { DeviceAuthorizationResponse } from "../../../protocol/http.ts";
import type { Authority } from "../../auth/authority.ts";
import { json, neverStored } from "../answers.ts";
import { readForm } from "../body.ts";
import type { Endpoint } from "../exchange.ts";
import { registeredClient } from "../requesting-client.ts";

export interface DeviceAuthorizationEndpointOptions {
  readonly authority: Pick<Authority, "devices" | "clientAuthentication">;
  readonly maxBodyBytes: number;
}

/** `POST /auth/device_authorization` (RFC 8628 section 3.1), for registered clients. */
export function deviceAuthorizationEndpoint(options: DeviceAuthorizationEndpointOptions): Endpoint {
  return async ({ request, peer, timed }) => {
    const { authority } = options;
    const form = await timed(() => readForm(request, options.maxBodyBytes));
    const client = await registeredClient(authority, request, form);
    const wishes = { scope: form.get("scope") ?? null, resource: form.get("resource") ?? null };
    const begun = await authority.devices.begin(client, wishes, peer);
    const body: DeviceAuthorizationResponse = {
      device_code: begun.deviceCode,
      user_code: begun.userCode,
      verification_uri: begun.verificationUri,
      verification_uri_complete: begun.verificationUriComplete,
      expires_in: begun.expiresInMs / 1000,
      interval: begun.intervalMs / 1000,
    };
    return json(body, { headers: neverStored });
  };
}
