import { AuthError } from "../../auth/errors.ts";
import { empty } from "../answers.ts";
import { readForm } from "../body.ts";
import type { Endpoint } from "../exchange.ts";
import { reasonOf } from "../observer.ts";
import type { OidcEndpointOptions } from "./oidc-login.ts";

/**
 * `POST /auth/oidc/backchannel-logout/:provider` (OpenID Connect Back-Channel Logout 1.0): 200 once the sessions have
 * ended, also if there were none; 400 for a token that is not good; 503 if the provider should try again.
 */
export function oidcLogoutEndpoint({ authority, observer, maxBodyBytes }: OidcEndpointOptions): Endpoint {
  return async ({ parameters, request, peer, timed }) => {
    const { provider = null } = parameters;
    const { address } = peer;
    try {
      const form = await timed(() => readForm(request, maxBodyBytes));
      const token = form.get("logout_token");
      if (token === undefined) throw new AuthError("invalid_logout_token", { detail: "there is no token" });
      const { userId, sessions } = await authority.oidc.logOut(provider, token);
      const about = userId === undefined ? {} : { userId };
      observer.decided({ event: "provider_logout", address, sessions, ...about });
      return empty();
    } catch (error) {
      observer.decided({ event: "provider_logout_refused", address, ...reasonOf(error) });
      throw error;
    }
  };
}
