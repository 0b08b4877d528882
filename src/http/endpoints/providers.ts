import type { ProvidersResponse } from "../../../protocol/http.ts";
import type { Authority } from "../../auth/authority.ts";
import { AuthError } from "../../auth/errors.ts";
import type { Peer } from "../../auth/model.ts";
import { isLocalAddress } from "../../net/local-address.ts";
import { json } from "../answers.ts";
import type { Endpoint } from "../exchange.ts";

/** `GET /auth/providers`: the providers that can be used from this address, once there is an owner. */
export function providersEndpoint(authority: Authority): Endpoint {
  return async ({ peer }) => {
    if (await authority.onboarding.required()) throw new AuthError("onboarding_required");
    const providers = authority.logins.providers(peer).map(({ name, id, type }) => ({ name, id, type }));
    const body: ProvidersResponse = { providers, preselect_remember_me: preselectsRememberMe(peer) };
    return json(body);
  };
}

/** Whether a login page ticks "keep me logged in" beforehand: at home. */
export function preselectsRememberMe({ address }: Peer): boolean {
  return isLocalAddress(address);
}
