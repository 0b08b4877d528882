import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import { requireGrantType } from "../../auth/oauth/authorization-request.ts";
import { deviceGrantType } from "../../auth/oauth/device-record.ts";
import type { TokenGrant } from "../../auth/sessions/sessions.ts";
import type { HttpResponse } from "../endpoint.ts";
import type { HttpObserver } from "../observer.ts";
import { decided, type GrantRequest, tokenAnswer } from "./token-answer.ts";

export interface DeviceGrantOptions {
  readonly authority: Authority;
  readonly observer: HttpObserver;
}

/** A device asks again every few seconds, so these are no decisions. */
const undecided: ReadonlySet<string> = new Set(["authorization_pending", "slow_down"]);

/** `grant_type=urn:ietf:params:oauth:grant-type:device_code` (RFC 8628 section 3.4). */
export async function grantForDevice(
  request: GrantRequest,
  options: DeviceGrantOptions,
): Promise<HttpResponse> {
  const { client, peer } = request;
  const about = { grant: "device_code", address: peer.address, clientId: client?.id ?? null };
  const outcome = await redeem(request, options).then(
    (grant) => async () => grant,
    (error: unknown) => {
      if (error instanceof AuthError && undecided.has(error.code)) throw error;
      return () => Promise.reject<TokenGrant>(error);
    },
  );
  const grant = await decided(options.observer, about, outcome);
  return await tokenAnswer(options.authority, request, grant, true);
}

async function redeem(
  { client, form, peer }: GrantRequest,
  { authority }: DeviceGrantOptions,
): Promise<TokenGrant> {
  if (client?.registered === undefined) throw new AuthError("unauthorized_client");
  requireGrantType(client.registered, deviceGrantType);
  const deviceCode = form.get("device_code") ?? "";
  return await authority.devices.redeem({ client: client.registered, deviceCode, peer, polls: true });
}
